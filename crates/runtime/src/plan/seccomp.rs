//! System call filters: the default one and the bundle's, compiled.

use anyhow::{anyhow, bail, Context, Result};
use casemate_policy::spec::{SeccompArg, SeccompProfile, SeccompSyscall};
use casemate_policy::{ControlId, Decision, HardenedSpec};
use casemate_sandbox::plan::SeccompFilter;
use casemate_seccomp::{
    compile, default_program, default_program_in_parts, Action, Arch, Arg, Feature, FeatureSet,
    Filter, Flags, Op, Program, Rule, Variant,
};
use casemate_sys::seccomp::flag;
use std::borrow::Cow;

/// The default filter of a process of this container, if it gets one, in the order in which its programs are loaded:
/// [`casemate_policy::Extras::default_filters`] of them. `capabilities` is what the process can come to hold.
///
/// # Errors
/// There is no system call table for this architecture, or a feature's name is unknown.
pub fn default_filters(spec: &HardenedSpec, capabilities: u64) -> Result<Vec<SeccompFilter>> {
    let Some(variant) = variant(spec, capabilities)? else { return Ok(Vec::new()) };
    let native = native()?;
    let about = |e| anyhow!("the default system call filter: {e}");
    if !spec.extras().record_denials {
        let program = default_program(native, variant).map_err(about)?;
        return Ok(vec![lowered(&program, 0, native)]);
    }
    let [refusals, unknown] = default_program_in_parts(native, variant).map_err(about)?;
    Ok(vec![lowered(&refusals, flag::LOG, native), lowered(&unknown, 0, native)])
}

fn variant(spec: &HardenedSpec, capabilities: u64) -> Result<Option<Variant>> {
    let extras = spec.extras();
    if !extras.default_seccomp {
        return Ok(None);
    }
    let features = FeatureSet::from_names(&extras.seccomp_features)
        .map_err(|e| anyhow!("the default system call filter: {e}"))?;
    Ok(Some(Variant { caps: capabilities, restricted: extras.strict_seccomp, features }))
}

/// All filters of the container's first process, in the order in which they are loaded. The default one first: it lets the
/// loading of a second one pass, which a bundle's own filter may not. With the configuration as written, an agent that the profile
/// names is handed a listener also where no rule asks it, as crun does.
///
/// # Errors
/// As [`default_filters`]; the bundle's own filter has an unknown name, or cannot be compiled.
pub fn filters(spec: &HardenedSpec) -> Result<Vec<SeccompFilter>> {
    let mut filters = default_filters(spec, spec.reachable_capabilities())?;
    if let Some(profile) = spec.linux.seccomp.as_ref().filter(|profile| !profile.is_empty()) {
        let filter = convert(profile)?;
        let named = spec.is_verbatim() && profile.listener_path.is_some();
        filters.push(build(&filter, native()?, named).context("linux.seccomp")?);
    }
    Ok(filters)
}

fn native() -> Result<Arch> {
    Arch::native().ok_or_else(|| anyhow!("no system call table for this architecture"))
}

/// Says beside each granted feature what the bundle's own filter still refuses of it: two filters allow what both do.
///
/// # Errors
/// The bundle's own filter has an unknown name, or cannot be compiled.
pub fn note_conflicts(spec: &HardenedSpec, decisions: &mut [Decision]) -> Result<()> {
    let granted = &spec.extras().seccomp_features;
    let own = spec.linux.seccomp.as_ref().filter(|profile| !profile.is_empty());
    let (Some(own), Some(native), false) = (own, Arch::native(), granted.is_empty()) else {
        return Ok(());
    };
    let (_, program) = program(own, native)?;
    for feature in Feature::all().iter().filter(|feature| granted.contains(feature.name)) {
        let refused = feature.refused_by(native, &program);
        let about = format!(" {} ", feature.name);
        let decision = decisions
            .iter_mut()
            .find(|d| d.rule == ControlId::DefaultSeccomp && d.reason.contains(&about));
        if let (Some(decision), false) = (decision, refused.is_empty()) {
            let refused = refused.join(", ");
            decision.reason.to_mut().push_str(&format!(
                ", and the configuration's own filter refuses {refused}: give the engine one that does not"
            ));
        }
    }
    Ok(())
}

/// What a bundle's filter is compiled to, and what it does to calls that no rule names.
///
/// # Errors
/// An action, architecture, flag or operator that is unknown, a rule without names, or a filter
/// that cannot be compiled.
pub fn program(profile: &SeccompProfile, native: Arch) -> Result<(Action, Program)> {
    let filter = convert(profile)?;
    let compiled = compile(&filter, native).map_err(|e| anyhow!("linux.seccomp: {e}"))?;
    Ok((filter.default_action, compiled.program))
}

fn build(filter: &Filter, native: Arch, listens: bool) -> Result<SeccompFilter> {
    let compiled = compile(filter, native).map_err(|e| anyhow!("{e}"))?;
    let flags = u64::from(filter.flags.kernel_bits(compiled.uses_notify || listens));
    Ok(lowered(&compiled.program, flags, native))
}

/// A filter that was compiled when the container was made.
///
/// # Errors
/// The bytes are no program, or there is no system call table for this architecture.
pub fn stored(bytes: &[u8], flags: u64) -> Result<SeccompFilter> {
    let native = native()?;
    let program = Program::from_bytes(bytes).map_err(|e| anyhow!("seccomp.bpf: {e}"))?;
    Ok(lowered(&program, flags, native))
}

fn lowered(program: &Program, flags: u64, native: Arch) -> SeccompFilter {
    let read = native.syscall_number("read");
    let answer = read.and_then(|number| program.answer_to_all(native, number));
    let lets_read = answer == Some(Action::Allow);
    SeccompFilter { program: program.as_bytes(), flags, lets_read }
}

fn convert(profile: &SeccompProfile) -> Result<Filter<'_>> {
    let action = |name: &str, errno: Option<u32>, path: String| {
        Action::from_scmp_name(name, errno).map_err(|e| anyhow!("linux.seccomp.{path}: {e}"))
    };
    let mut filter = Filter::new(action(
        &profile.default_action,
        profile.default_errno_ret,
        "defaultAction".into(),
    )?);
    filter.archs = profile
        .architectures
        .iter()
        .enumerate()
        .map(|(i, name)| {
            Arch::from_scmp_name(name).map_err(|e| anyhow!("linux.seccomp.architectures[{i}]: {e}"))
        })
        .collect::<Result<_>>()?;
    filter.flags = match &profile.flags {
        None => Flags::when_absent(),
        Some(names) => Flags::from_names(names).map_err(|e| anyhow!("linux.seccomp.flags: {e}"))?,
    };
    for (i, rule) in profile.syscalls.iter().enumerate() {
        let action = action(&rule.action, rule.errno_ret, format!("syscalls[{i}].action"))?;
        filter.rules.push(
            convert_rule(rule, action).with_context(|| format!("linux.seccomp.syscalls[{i}]"))?,
        );
    }
    Ok(filter)
}

fn convert_rule(rule: &SeccompSyscall, action: Action) -> Result<Rule<'_>> {
    if rule.names.is_empty() {
        bail!("names is empty");
    }
    let arg = |arg: &SeccompArg| {
        let op = Op::from_scmp_name(&arg.op).map_err(|e| anyhow!("{e}"))?;
        Ok(Arg { index: arg.index, value: arg.value, value_two: arg.value_two, op })
    };
    Ok(Rule {
        names: rule.names.iter().map(|name| Cow::Borrowed(name.as_str())).collect(),
        action,
        args: rule.args.iter().map(arg).collect::<Result<_>>()?,
    })
}

#[cfg(test)]
mod tests {
    use casemate_seccomp::Feature;

    #[test]
    fn overrides_and_the_filter_know_the_same_features() {
        let mut of_filter: Vec<&str> = Feature::all().iter().map(|feature| feature.name).collect();
        of_filter.sort_unstable();
        assert_eq!(casemate_policy::seccomp_features(), of_filter);
    }
}
