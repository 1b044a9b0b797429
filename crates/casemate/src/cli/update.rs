//! Flags of `update`. Data only; `request::update` turns them into an OCI resources object.
//!
//! All values are kept as text: which of them is an integer and which a size is decided in one place,
//! where the error can name the flag.

use std::ffi::OsString;

/// `update`.
#[derive(Clone, Debug, Default, clap::Args)]
pub(crate) struct UpdateArgs {
    /// Read an OCI linux.resources object from this file, - for standard input; the flags below
    /// are then ignored
    #[arg(short, long, value_name = "FILE", help_heading = "Source")]
    pub(crate) resources: Option<OsString>,

    /// Memory limit: bytes, or with k, m or g; -1 for none
    #[arg(long, value_name = "SIZE", help_heading = "Memory")]
    pub(crate) memory: Option<String>,

    /// Memory that is reclaimed last
    #[arg(long, value_name = "SIZE", help_heading = "Memory")]
    pub(crate) memory_reservation: Option<String>,

    /// Limit of memory and swap together; -1 for none
    #[arg(long, value_name = "SIZE", help_heading = "Memory")]
    pub(crate) memory_swap: Option<String>,

    /// Share of the CPU, relative to others [2 to 262144, usually 1024]
    #[arg(long, value_name = "SHARES", help_heading = "CPU")]
    pub(crate) cpu_share: Option<String>,

    /// CPU time that may be used in one period, in microseconds; -1 for no limit
    #[arg(long, value_name = "MICROSECONDS", help_heading = "CPU")]
    pub(crate) cpu_quota: Option<String>,

    /// Length of that period, in microseconds
    #[arg(long, value_name = "MICROSECONDS", help_heading = "CPU")]
    pub(crate) cpu_period: Option<String>,

    /// Unused CPU time that may be used later, in microseconds
    #[arg(long, value_name = "MICROSECONDS", help_heading = "CPU")]
    pub(crate) cpu_burst: Option<String>,

    /// 1 to run only when nothing else wants the CPU, 0 to compete
    #[arg(long, value_name = "0|1", help_heading = "CPU")]
    pub(crate) cpu_idle: Option<String>,

    /// CPUs that may be used, such as 0-3,7
    #[arg(long, value_name = "LIST", help_heading = "CPU")]
    pub(crate) cpuset_cpus: Option<String>,

    /// Memory nodes that may be used, such as 0-1
    #[arg(long, value_name = "LIST", help_heading = "CPU")]
    pub(crate) cpuset_mems: Option<String>,

    /// Real-time period, in microseconds; cgroup v1 only
    #[arg(long, value_name = "MICROSECONDS", help_heading = "CPU")]
    pub(crate) cpu_rt_period: Option<String>,

    /// Real-time runtime, in microseconds; cgroup v1 only
    #[arg(long, value_name = "MICROSECONDS", help_heading = "CPU")]
    pub(crate) cpu_rt_runtime: Option<String>,

    /// Number of processes and threads; -1 for no limit
    #[arg(long, value_name = "N", help_heading = "Other")]
    pub(crate) pids_limit: Option<String>,

    /// Weight of disk input and output [10 to 1000]
    #[arg(long, value_name = "WEIGHT", help_heading = "Other")]
    pub(crate) blkio_weight: Option<String>,

    /// Intel RDT L3 cache schema
    #[arg(long, value_name = "SCHEMA", help_heading = "Other")]
    pub(crate) l3_cache_schema: Option<String>,

    /// Intel RDT memory bandwidth schema
    #[arg(long, value_name = "SCHEMA", help_heading = "Other")]
    pub(crate) mem_bw_schema: Option<String>,

    /// Accepted for older callers' sake; ignored, with a warning in the log
    #[arg(long, value_name = "SIZE", hide = true)]
    pub(crate) kernel_memory: Option<String>,

    /// Accepted for older callers' sake; ignored, with a warning in the log
    #[arg(long, value_name = "SIZE", hide = true)]
    pub(crate) kernel_memory_tcp: Option<String>,

    /// The container
    #[arg(value_name = "CONTAINER-ID")]
    pub(crate) id: String,
}
