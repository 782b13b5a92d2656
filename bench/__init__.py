"""The measurements that the README quotes, by `make bench`: CPU time of the process, medians, ratios within one run."""
