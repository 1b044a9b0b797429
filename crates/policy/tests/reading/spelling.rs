//! Names of properties in other letters than the specification's.

use super::common::{changed, full, parse, plain, put, remove};
use casemate_policy::spec::{Process, Resources, Spec};
use serde_json::{json, Value};

/// Every name of `value` that a map does not have as data, in other letters.
fn respelt(value: &Value, is_map: bool, other: &dyn Fn(&str) -> String) -> Value {
    const MAPS: &[&str] =
        &["annotations", "sysctl", "netDevices", "timeOffsets", "rdma", "unified"];
    match value {
        Value::Array(items) => items.iter().map(|item| respelt(item, false, other)).collect(),
        Value::Object(members) => {
            let member = |(name, value): (&String, &Value)| {
                let below = respelt(value, !is_map && MAPS.contains(&name.as_str()), other);
                (if is_map { name.clone() } else { other(name) }, below)
            };
            Value::Object(members.iter().map(member).collect())
        }
        other => other.clone(),
    }
}

/// As Go reads it, and with it runc.
#[test]
fn a_property_is_known_in_any_letter_case() {
    let right = parse(&full()).unwrap();
    let swapped = |name: &str| {
        let swap = |c: char| match c {
            'k' => '\u{212a}',
            's' => '\u{17f}',
            c if c.is_ascii_lowercase() => c.to_ascii_uppercase(),
            c => c.to_ascii_lowercase(),
        };
        name.chars().map(swap).collect()
    };
    let spellings: [&dyn Fn(&str) -> String; 3] =
        [&|name| name.to_uppercase(), &|name| name.to_lowercase(), &swapped];
    for other in spellings {
        let document = respelt(&full(), false, other);
        let mut spec = parse(&document).unwrap();
        assert!(spec.warnings.len() > right.warnings.len());
        spec.warnings.clone_from(&right.warnings);
        assert_eq!(spec, right);
        for (name, place) in [("process", "/process"), ("resources", "/linux/resources")] {
            let whole = full();
            let part = whole.pointer(place).unwrap();
            let other = respelt(part, false, other).to_string();
            let (part, other) = (part.to_string(), other.as_bytes());
            if name == "process" {
                assert_eq!(Process::parse(other), Process::parse(part.as_bytes()));
            } else {
                assert_eq!(Resources::parse(other), Resources::parse(part.as_bytes()));
            }
        }
    }
}

#[test]
fn a_property_in_other_letters_is_named_in_a_warning_and_no_longer_unknown() {
    let limit = json!([{"pagesize": "2MB", "Limit": 4096, "order": 9}]);
    let spec = changed("/linux/resources/HugePageLimits", limit).unwrap();
    let limits = &spec.linux.resources.as_ref().unwrap().hugepage_limits;
    assert_eq!((limits[0].page_size.as_str(), limits[0].limit), ("2MB", 4096));
    assert_eq!(spec.unknown, ["linux.resources.hugepageLimits[0].order"]);
    let said: Vec<&str> = spec.warnings.iter().map(|w| w.path.as_str()).collect();
    let list = "linux.resources.hugepageLimits";
    assert_eq!(said, [list, &format!("{list}[0].limit"), &format!("{list}[0].pageSize")]);
    let message = &spec.warnings[2].message;
    assert_eq!(message, "is written \"pagesize\", and taken for \"pageSize\" as Go takes it");
}

#[test]
fn keys_of_maps_and_what_is_not_known_keep_their_letters() {
    let mut document = plain();
    put(&mut document, "/annotations", json!({"Linux": "1", "linux": "2"}));
    put(&mut document, "/linux/sysctl", json!({"net.ipv4.Type": "1"}));
    put(&mut document, "/windows", json!({"Linux": {}, "linux": {}}));
    put(&mut document, "/Hostname", json!("named"));
    let spec = parse(&document).unwrap_err();
    assert_eq!(spec, "hostname: is there twice, as \"Hostname\" and as \"hostname\"");
    remove(&mut document, "/hostname");
    let spec = parse(&document).unwrap();
    assert_eq!(spec.annotations["Linux"], "1");
    assert_eq!(spec.linux.sysctl["net.ipv4.Type"], "1");
    assert_eq!(spec.hostname.as_deref(), Some("named"));
    assert_eq!(spec.unknown, ["windows"]);
}

#[test]
fn a_property_that_is_there_twice_is_refused_in_any_letters() {
    for (twice, wanted) in [
        (r#""mounts": [], "mounts": []"#, "duplicate field `mounts`"),
        (r#""mounts": [], "Mounts": []"#, r#"mounts: is there twice, as "Mounts" and as "mounts""#),
        (r#""MOUNTS": [], "Mounts": []"#, r#"mounts: is there twice, as "MOUNTS" and as "Mounts""#),
        (r#""Mounts": [], "Mounts": []"#, r#"mounts: is there twice, as "Mounts" and as "Mounts""#),
        (
            r#""linux": {"Namespaces": [{"type": "pid"}], "namespaces": []}"#,
            r#"linux.namespaces: is there twice, as "Namespaces" and as "namespaces""#,
        ),
    ] {
        let error = Spec::parse(format!("{{{twice}}}").as_bytes()).unwrap_err().to_string();
        assert_eq!(error.split(" at line").next(), Some(wanted));
    }
    let error = Process::parse(br#"{"Cwd": "/", "cwd": "/"}"#).unwrap_err().to_string();
    assert_eq!(error, "process.cwd: is there twice, as \"Cwd\" and as \"cwd\"");
}

/// What a wrong value is called does not depend on the letters of its name.
#[test]
fn a_wrong_value_of_a_property_in_other_letters_is_named_with_its_path() {
    let error = changed("/linux/Namespaces", json!([{"Type": "net"}])).unwrap_err();
    assert!(error.starts_with("linux.namespaces: is there twice"), "{error}");
    let mut document = plain();
    remove(&mut document, "/linux/namespaces");
    put(&mut document, "/linux/Namespaces", json!([{"Type": "net"}]));
    let error = parse(&document).unwrap_err();
    assert!(error.starts_with("linux.namespaces[0].type: unknown variant `net`"), "{error}");
}
