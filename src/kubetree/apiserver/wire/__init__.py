"""What goes over the wire: which representation is asked for, bodies in, answers out."""
