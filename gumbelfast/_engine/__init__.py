"""What every function stands on: what is accepted, where noise lies, which backend and threads do the work."""
