use super::brought::{self, keep, Ids};
use super::categories::{AllPairs, Pair};
use super::ids::{Range, Source, Span, SIZE};
use super::*;
use std::collections::HashSet;
use std::path::PathBuf;

/// A pool of its own, and a directory for states.
struct Fixture {
    dir: PathBuf,
}

impl Fixture {
    fn new(name: &str) -> Self {
        let dir = std::env::temp_dir().join(format!("casemate-pool-{name}-{}", std::process::id()));
        drop(std::fs::remove_dir_all(&dir));
        std::fs::create_dir_all(dir.join("state")).unwrap();
        Self { dir }
    }

    fn pool(&self, ranges: u32) -> Pool<Source> {
        let span = Span { first: 1_000_000, count: ranges * SIZE };
        Pool::open(&self.dir.join("ids"), Source::read(Path::new("/"), Some(span)).unwrap())
            .unwrap()
    }

    fn claimant(&self, id: &str) -> Claimant {
        let state = self.dir.join("state").join(id);
        Claimant { container: id.to_owned(), state, ..Claimant::default() }
    }

    /// A container that exists: its state directory does.
    fn live(&self, id: &str) -> Claimant {
        let who = self.claimant(id);
        std::fs::create_dir_all(&who.state).unwrap();
        who
    }
}

impl Drop for Fixture {
    fn drop(&mut self) {
        drop(std::fs::remove_dir_all(&self.dir));
    }
}

fn proc() -> OwnedFd {
    crate::procfs::open().unwrap()
}

#[test]
fn five_hundred_containers_made_at_once_have_five_hundred_ranges() {
    let fixture = Fixture::new("many");
    let ranges: Vec<Range> = std::thread::scope(|scope| {
        let make = |thread: u32| {
            let fixture = &fixture;
            scope.spawn(move || {
                let one = |n| {
                    let who = fixture.live(&format!("c{thread}-{n}"));
                    fixture.pool(512).take(&who, &proc()).unwrap().resource
                };
                (0..50).map(one).collect::<Vec<_>>()
            })
        };
        let threads: Vec<_> = (0..10).map(make).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let distinct: HashSet<u32> = ranges.iter().map(|range| range.uid / SIZE * SIZE).collect();
    assert_eq!((ranges.len(), distinct.len()), (500, 500));
    // 500 of 512 are taken by containers that exist: no more than twelve are left.
    let pool = fixture.pool(512);
    let more: Vec<_> =
        (0..13).map(|n| pool.take(&fixture.live(&format!("m{n}")), &proc())).collect();
    assert!(more[..12].iter().all(Result::is_ok));
    let text = format!("{:#}", more[12].as_ref().unwrap_err());
    assert!(text.contains("no range of 65536 ids is free"), "{text}");
}

#[test]
fn a_container_that_comes_back_gets_the_range_that_it_had() {
    let fixture = Fixture::new("again");
    let pool = fixture.pool(1000);
    let first = pool.take(&fixture.live("web"), &proc()).unwrap();
    let expected = || {
        Pool::expected(&fixture.dir.join("ids"), &pool.supply, &fixture.claimant("web")).unwrap()
    };
    assert_ne!(expected(), first.resource);
    release::<Range>(&fixture.dir.join("ids"), &first.name).unwrap();
    assert_eq!(expected(), first.resource);
    assert_eq!(pool.take(&fixture.live("web"), &proc()).unwrap().resource, first.resource);
}

#[test]
fn what_a_killed_runtime_left_over_is_found_and_used_again() {
    let fixture = Fixture::new("left");
    let pool = fixture.pool(3);
    // Killed before there were state directories: the locks are gone with their makers.
    let leases = ["a", "b", "c"].map(|id| pool.take(&fixture.claimant(id), &proc()).unwrap());
    drop(leases);
    // In the way of somebody, and so looked at.
    let lease = pool.take(&fixture.live("d"), &proc()).unwrap();
    assert!(entries::<Range>(&pool.dir).unwrap().iter().any(|entry| entry.name == lease.name));
    assert_eq!(entries::<Range>(&pool.dir).unwrap().len(), 3);
    // In nobody's way, but old.
    for entry in
        entries::<Range>(&pool.dir).unwrap().iter().filter(|entry| entry.name != lease.name)
    {
        let old = Timespec { tv_sec: 1_000_000, tv_nsec: 0 };
        let times = Timestamps { last_access: old, last_modification: old };
        rustix::fs::utimensat(&pool.dir, &entry.name, &times, AtFlags::empty()).unwrap();
    }
    drop(fixture.pool(100).take(&fixture.live("e"), &proc()).unwrap());
    assert_eq!(entries::<Range>(&pool.dir).unwrap().len(), 2);
}

#[test]
fn what_was_taken_for_a_directory_that_never_was_is_dropped_and_nothing_else() {
    let fixture = Fixture::new("forget");
    let pool = fixture.pool(10);
    let dir = fixture.dir.join("ids");
    let names = || {
        let mut names: Vec<_> =
            entries::<Range>(&pool.dir).unwrap().into_iter().map(|entry| entry.name).collect();
        names.sort();
        names
    };
    let forget = |id: &str| forget(&dir, Source::default(), &fixture.claimant(id).state).unwrap();
    let [a, b] = ["a", "b"].map(|id| pool.take(&fixture.claimant(id), &proc()).unwrap());
    let (of_a, of_b) = (a.name.clone(), b.name.clone());
    let exists = pool.take(&fixture.live("c"), &proc()).unwrap();
    let mut all = vec![of_a.clone(), of_b.clone(), exists.name.clone()];
    all.sort();
    drop((b, exists));
    // One is being made, and one is there.
    forget("c");
    forget("nobody");
    assert_eq!(names(), all);
    // Killed before it had written anything.
    std::fs::write(dir.join(&of_b), "").unwrap();
    forget("b");
    all.retain(|name| *name != of_b);
    assert_eq!(names(), all);
    drop(a);
    forget("a");
    all.retain(|name| *name != of_a);
    assert_eq!(names(), all);
    super::forget(&fixture.dir.join("none"), AllPairs, &dir).unwrap();
}

#[test]
fn a_range_is_kept_while_its_container_is_being_made_and_while_it_exists() {
    let fixture = Fixture::new("kept");
    let pool = fixture.pool(2);
    let _making = pool.take(&fixture.claimant("a"), &proc()).unwrap();
    drop(pool.take(&fixture.live("b"), &proc()).unwrap());
    assert!(pool.take(&fixture.live("c"), &proc()).is_err());
    std::fs::remove_dir(fixture.dir.join("state/b")).unwrap();
    assert!(pool.take(&fixture.live("c"), &proc()).is_ok());
}

#[test]
fn a_file_that_was_cut_short_is_left_over() {
    let fixture = Fixture::new("short");
    let pool = fixture.pool(1);
    std::fs::write(fixture.dir.join("ids/1000000-1000000-0-1"), "{\"conta").unwrap();
    assert!(pool.take(&fixture.live("a"), &proc()).is_ok());
}

#[test]
fn containers_of_a_pod_share_a_range_if_they_share_a_namespace_too() {
    let fixture = Fixture::new("pod");
    let pool = fixture.pool(100);
    let member = |id: &str, pod: &str, joined: &[u64]| {
        let who = fixture.live(id);
        let who = Claimant { pod: Some(pod.to_owned()), joined: joined.to_vec(), ..who };
        pool.take(&who, &proc()).unwrap()
    };
    let first = member("a", "p", &[7, 8]);
    assert_eq!(member("b", "p", &[8]).resource, first.resource);
    assert_ne!(member("c", "p", &[9]).resource, first.resource);
    assert_ne!(member("d", "q", &[7, 8]).resource, first.resource);
    // Free when the last of them is gone, and not before.
    release::<Range>(&fixture.dir.join("ids"), &first.name).unwrap();
    let stranger = fixture.live("s");
    let shared = pool.share(&stranger, first.resource).unwrap();
    assert_eq!(shared.unwrap().resource, first.resource);
    assert!(pool.share(&stranger, Range { uid: 5, gid: 5 }).unwrap().is_none());
}

#[test]
fn a_directory_that_others_may_enter_is_refused() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = Fixture::new("open");
    let dir = fixture.dir.join("ids");
    drop(fixture.pool(1));
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o755)).unwrap();
    let source = Source::read(Path::new("/nowhere"), None).unwrap();
    let text = format!("{:#}", Pool::open(&dir, source).unwrap_err());
    assert!(text.contains("open to nobody else"), "{text}");
}

#[test]
fn categories_are_shared_by_the_same_rule_as_ids() {
    let fixture = Fixture::new("mcs");
    let pool = Pool::open(&fixture.dir.join("mcs"), AllPairs).unwrap();
    // The same id in two state roots: both begin at the same pair.
    let one = pool.take(&fixture.live("x"), &proc()).unwrap();
    let two = pool.take(&fixture.live("x"), &proc()).unwrap();
    assert_ne!(one.resource, two.resource);
    let member = |id: &str, joined: &[u64]| {
        let who = fixture.live(id);
        let who = Claimant { pod: Some("p".to_owned()), joined: joined.to_vec(), ..who };
        pool.take(&who, &proc()).unwrap().resource
    };
    let first = member("a", &[7]);
    assert_eq!(member("b", &[7, 8]), first);
    assert_ne!(member("c", &[]), first, "an annotation alone makes nobody a member");
    release::<Pair>(&fixture.dir.join("mcs"), &one.name).unwrap();
    release::<Pair>(&fixture.dir.join("mcs"), &one.name).unwrap();
    assert_eq!(pool.take(&fixture.live("x"), &proc()).unwrap().resource, one.resource);
}

fn ids_in(range: Range) -> Ids {
    let map = |host: u32| {
        let text = serde_json::json!([{"containerID": 0, "hostID": host + 10, "size": 20}]);
        serde_json::from_value::<Vec<casemate_policy::spec::IdMapping>>(text).unwrap()
    };
    Ids::of(&map(range.uid), &map(range.gid))
}

#[test]
fn a_range_that_meets_ids_of_a_configuration_is_given_to_nobody() {
    let fixture = Fixture::new("brought");
    let (pool, dir) = (fixture.pool(2), fixture.dir.join("ids"));
    let first = pool.supply.candidates("a").next().unwrap();
    let kept = keep(&pool, &fixture.live("own"), &ids_in(first), Some(&[])).unwrap();
    let expected = Pool::expected(&dir, &pool.supply, &fixture.claimant("a")).unwrap();
    let lease = pool.take(&fixture.live("a"), &proc()).unwrap();
    assert_ne!(lease.resource, first);
    assert_eq!(expected, lease.resource);
    let why = pool.take(&fixture.live("b"), &proc()).unwrap_err();
    assert!(why.to_string().contains("no range"), "{why}");
    release::<Range>(&dir, &kept.name).unwrap();
    assert_eq!(pool.take(&fixture.live("b"), &proc()).unwrap().resource, first);
}

#[test]
fn ids_of_a_configuration_whose_container_is_gone_are_free_again() {
    let fixture = Fixture::new("brought-gone");
    let (pool, dir) = (fixture.pool(1), fixture.dir.join("ids"));
    let first = pool.supply.candidates("a").next().unwrap();
    let who = fixture.claimant("own");
    let kept = keep(&pool, &who, &ids_in(first), Some(&[])).unwrap();
    assert!(pool.take(&fixture.live("a"), &proc()).is_err(), "it is being made");
    drop(kept);
    brought::forget(&dir, Source::default(), &who.state).unwrap();
    assert_eq!(std::fs::read_dir(&dir).unwrap().count(), 1, "the lock");
    drop(keep(&pool, &who, &ids_in(first), Some(&[])).unwrap());
    assert_eq!(pool.take(&fixture.live("a"), &proc()).unwrap().resource, first);
}

#[test]
fn ids_of_a_configuration_are_not_those_that_somebody_was_given_meanwhile() {
    let fixture = Fixture::new("brought-raced");
    let pool = fixture.pool(1);
    let range = pool.take(&fixture.live("a"), &proc()).unwrap().resource;
    let keep = |judged: Option<&[Range]>| {
        keep(&pool, &fixture.live("own"), &ids_in(range), judged).is_ok()
    };
    assert!(!keep(Some(&[])));
    assert!(keep(Some(&[range])), "it was let in");
    assert!(keep(None));
}
