//! Containers, seen from outside: one binary, because each is a link step. Modules lie in blackbox/.

#[path = "blackbox/audit_floor.rs"]
mod audit_floor;
#[path = "blackbox/audit_log.rs"]
mod audit_log;
#[path = "blackbox/audit_report.rs"]
mod audit_report;
#[path = "blackbox/audit_sarif.rs"]
mod audit_sarif;
#[path = "blackbox/caller_traps.rs"]
mod caller_traps;
#[path = "blackbox/cve_exe.rs"]
mod cve_exe;
#[path = "blackbox/cve_fds.rs"]
mod cve_fds;
#[path = "blackbox/cve_hooks.rs"]
mod cve_hooks;
#[path = "blackbox/cve_identity.rs"]
mod cve_identity;
#[path = "blackbox/cve_input.rs"]
mod cve_input;
#[path = "blackbox/cve_kernel.rs"]
mod cve_kernel;
#[path = "blackbox/cve_paths.rs"]
mod cve_paths;
#[path = "blackbox/cve_proc.rs"]
mod cve_proc;
#[path = "blackbox/cve_races.rs"]
mod cve_races;
#[path = "blackbox/gone.rs"]
mod gone;
#[path = "blackbox/hardening_admission.rs"]
mod hardening_admission;
#[path = "blackbox/hardening_binds.rs"]
mod hardening_binds;
#[path = "blackbox/hardening_callers.rs"]
mod hardening_callers;
#[path = "blackbox/hardening_counts.rs"]
mod hardening_counts;
#[path = "blackbox/hardening_defaults.rs"]
mod hardening_defaults;
#[path = "blackbox/hardening_devices.rs"]
mod hardening_devices;
#[path = "blackbox/hardening_files.rs"]
mod hardening_files;
#[path = "blackbox/hardening_floor.rs"]
mod hardening_floor;
#[path = "blackbox/hardening_hook_programs.rs"]
mod hardening_hook_programs;
#[path = "blackbox/hardening_hook_ways.rs"]
mod hardening_hook_ways;
#[path = "blackbox/hardening_hooks.rs"]
mod hardening_hooks;
#[path = "blackbox/hardening_landlock.rs"]
mod hardening_landlock;
#[path = "blackbox/hardening_mounts.rs"]
mod hardening_mounts;
#[path = "blackbox/hardening_overrides.rs"]
mod hardening_overrides;
#[path = "blackbox/hardening_own_ids.rs"]
mod hardening_own_ids;
#[path = "blackbox/hardening_posture.rs"]
mod hardening_posture;
#[path = "blackbox/hardening_scratch.rs"]
mod hardening_scratch;
#[path = "blackbox/hardening_seccomp.rs"]
mod hardening_seccomp;
#[path = "blackbox/hardening_secrets.rs"]
mod hardening_secrets;
#[path = "blackbox/hardening_sysctls.rs"]
mod hardening_sysctls;
#[path = "blackbox/hardening_userns.rs"]
mod hardening_userns;
#[path = "blackbox/node_at_a_glance.rs"]
mod node_at_a_glance;
#[path = "blackbox/policy_simulate.rs"]
mod policy_simulate;
#[path = "blackbox/smoke.rs"]
mod smoke;
#[path = "blackbox/spec_binds.rs"]
mod spec_binds;
#[path = "blackbox/spec_devices.rs"]
mod spec_devices;
#[path = "blackbox/spec_exec.rs"]
mod spec_exec;
#[path = "blackbox/spec_faults.rs"]
mod spec_faults;
#[path = "blackbox/spec_hooks.rs"]
mod spec_hooks;
#[path = "blackbox/spec_idmap.rs"]
mod spec_idmap;
#[path = "blackbox/spec_io.rs"]
mod spec_io;
#[path = "blackbox/spec_lifecycle.rs"]
mod spec_lifecycle;
#[path = "blackbox/spec_mounts.rs"]
mod spec_mounts;
#[path = "blackbox/spec_namespaces.rs"]
mod spec_namespaces;
#[path = "blackbox/spec_new_mounts.rs"]
mod spec_new_mounts;
#[path = "blackbox/spec_no_pivot.rs"]
mod spec_no_pivot;
#[path = "blackbox/spec_process.rs"]
mod spec_process;
#[path = "blackbox/spec_records.rs"]
mod spec_records;
#[path = "blackbox/spec_refusals.rs"]
mod spec_refusals;
#[path = "blackbox/spec_rootless.rs"]
mod spec_rootless;
#[path = "blackbox/spec_seccomp.rs"]
mod spec_seccomp;
#[path = "blackbox/stress_cycles.rs"]
mod stress_cycles;
#[path = "blackbox/stress_kill.rs"]
mod stress_kill;
#[path = "blackbox/why.rs"]
mod why;
