//! The host's sysfs and cgroups as the source of a bind mount.

use super::*;

#[test]
fn the_hosts_sysfs_is_shown_only_without_a_network_namespace_of_ones_own() {
    let run = |path: &str, fs_type: u64, network: Option<Value>| {
        let mut document = plain();
        document["mounts"].as_array_mut().unwrap().retain(|mount| mount["destination"] != path);
        if let Some(network) = network {
            let namespaces = document["linux"]["namespaces"].as_array_mut().unwrap();
            namespaces.retain(|namespace| namespace["type"] != "network");
            namespaces.push(network);
        }
        let mount = json!({"destination": path, "type": "bind", "source": path, "options": ["rbind", "rw"]});
        put(&mut document, "/mounts/-", mount);
        let spec = parse(&document).unwrap();
        let file = FileFact { fs_type, ..dir(path) };
        let sources = [(spec.mounts.len() - 1, SourceFact::Found(Box::new(file)))].into();
        harden_as(spec, &choice(&[]), &HostFacts { sources, ..host() })
    };
    for (path, fs_type, wanted) in [
        ("/sys", 0x6265_6572, "mounts.host-sys"),
        ("/sys/fs/cgroup", 0x6367_7270, "mounts.host-cgroup"),
    ] {
        assert_eq!(class(run(path, fs_type, None)).as_deref(), Some(wanted));
        let joined = json!({"type": "network", "path": "/run/netns/pod"});
        let result = run(path, fs_type, Some(joined)).unwrap();
        let mount = result.spec.mounts.iter().find(|mount| mount.destination == path).unwrap();
        assert!(mount.options.iter().any(|option| option == "ro" || option == "rro"), "{path}");
    }
}
