"""What every component uses to talk to the API server: REST client, informers, work queue, leader election, events."""
