"""One file a step, in the order of their names. What has been released is never changed any more."""
