//! cgroup v2: limits, devices, freeze, kill, stats; file system and systemd drivers
