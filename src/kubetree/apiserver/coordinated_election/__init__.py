"""Coordinated leader election: the server says which of several candidates should hold a lease. Behind CoordinatedLeaderElection."""
