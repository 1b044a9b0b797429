/*
 * floor: the least work that a hardened container can cost.
 *
 *   floor plain  ROOTFS CGROUP_ROOT NAME BPF...
 *   floor podman ROOTFS CGROUP_ROOT NAME USERDATA BPF...
 *   floor --host-ids plain|podman ...     the same without a user namespace
 *
 * Makes the kernel objects that casemate makes for the two bundles of hack/bundle with the default profile, with bare
 * system calls and nothing else: no command line to speak of, no JSON, no policy, no state directory, no checks, no
 * error messages worth the name. Then runs /bin/true in it, waits, removes the cgroup and exits with its status.
 * hack/bench measures every runtime as a multiple of this program; it is not a container runtime.
 *
 * Where casemate has a choice of how, this takes the cheapest way known to work: one tmpfs cloned for all masks,
 * mounts made once and attached by descriptor, seccomp filters read as bytes that were compiled beforehand (BPF).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/keyctl.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define LENGTH(array) (sizeof(array) / sizeof((array)[0]))

static void must(long result, const char *what)
{
	if (result < 0) {
		fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
		_exit(125);
	}
}

/* ---- the cgroup and its device rules ------------------------------------------------------------------------- */

struct device {
	unsigned type; /* BPF_DEVCG_DEV_* */
	int major, minor; /* -1: any */
	mode_t mode;
	const char *name; /* NULL: allowed, but no node is made */
};

static const struct device devices[] = {
	{ BPF_DEVCG_DEV_CHAR, 1, 3, 0666, "null" },    { BPF_DEVCG_DEV_CHAR, 1, 5, 0666, "zero" },
	{ BPF_DEVCG_DEV_CHAR, 1, 7, 0666, "full" },    { BPF_DEVCG_DEV_CHAR, 1, 8, 0666, "random" },
	{ BPF_DEVCG_DEV_CHAR, 1, 9, 0666, "urandom" }, { BPF_DEVCG_DEV_CHAR, 5, 0, 0666, "tty" },
	{ BPF_DEVCG_DEV_CHAR, 5, 2, 0, NULL },	       { BPF_DEVCG_DEV_CHAR, 136, -1, 0, NULL },
};

static struct bpf_insn load_word(int to, int offset)
{
	return (struct bpf_insn){ .code = BPF_LDX | BPF_MEM | BPF_W, .dst_reg = to, .src_reg = BPF_REG_1, .off = offset };
}

static struct bpf_insn skip_unless(int reg, int value, int skip)
{
	return (struct bpf_insn){ .code = BPF_JMP | BPF_JNE | BPF_K, .dst_reg = reg, .off = skip, .imm = value };
}

static struct bpf_insn set_result(int value)
{
	return (struct bpf_insn){ .code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = BPF_REG_0, .imm = value };
}

static struct bpf_insn leave(void)
{
	return (struct bpf_insn){ .code = BPF_JMP | BPF_EXIT };
}

/* Loads the allow list above as a cgroup device program and attaches it. */
static void restrict_devices(int cgroup)
{
	struct bpf_insn code[16 + 6 * LENGTH(devices)];
	size_t n = 0;

	code[n++] = load_word(BPF_REG_2, 0);
	code[n++] = (struct bpf_insn){ .code = BPF_ALU | BPF_AND | BPF_K, .dst_reg = BPF_REG_2, .imm = 0xffff };
	code[n++] = load_word(BPF_REG_4, 4);
	code[n++] = load_word(BPF_REG_5, 8);
	for (size_t i = 0; i < LENGTH(devices); i++) {
		const struct device *d = &devices[i];
		int checks_minor = d->minor >= 0;

		code[n++] = skip_unless(BPF_REG_2, d->type, 3 + checks_minor);
		code[n++] = skip_unless(BPF_REG_4, d->major, 2 + checks_minor);
		if (checks_minor)
			code[n++] = skip_unless(BPF_REG_5, d->minor, 2);
		code[n++] = set_result(1);
		code[n++] = leave();
	}
	code[n++] = set_result(0);
	code[n++] = leave();

	union bpf_attr load = { .prog_type = BPF_PROG_TYPE_CGROUP_DEVICE,
				.insns = (unsigned long)code,
				.insn_cnt = n,
				.license = (unsigned long)"Apache-2.0" };
	int program = syscall(SYS_bpf, BPF_PROG_LOAD, &load, sizeof(load));
	must(program, "BPF_PROG_LOAD");
	union bpf_attr attach = { .target_fd = cgroup,
				  .attach_bpf_fd = program,
				  .attach_type = BPF_CGROUP_DEVICE,
				  .attach_flags = BPF_F_ALLOW_MULTI };
	must(syscall(SYS_bpf, BPF_PROG_ATTACH, &attach, sizeof(attach)), "BPF_PROG_ATTACH");
	close(program);
}

/* ---- mounts -------------------------------------------------------------------------------------------------- */

struct option {
	const char *key, *value;
};

/* A new, detached mount of a file system with its options and MOUNT_ATTR_* flags. */
static int make_mount(const char *type, const struct option *options, unsigned attributes)
{
	int context = fsopen(type, FSOPEN_CLOEXEC);
	must(context, type);
	for (; options && options->key; options++)
		must(fsconfig(context, FSCONFIG_SET_STRING, options->key, options->value, 0), options->key);
	must(fsconfig(context, FSCONFIG_CMD_CREATE, NULL, NULL, 0), "FSCONFIG_CMD_CREATE");
	int mount = fsmount(context, FSMOUNT_CLOEXEC, attributes);
	must(mount, "fsmount");
	close(context);
	return mount;
}

static void attach_mount(int mount, int root, const char *path)
{
	must(move_mount(mount, "", root, path, MOVE_MOUNT_F_EMPTY_PATH), path);
	close(mount);
}

/* The namespaces that belong to the container's ids; -1: it has the host's ids, and makes these itself. */
static struct {
	int user, net, ipc, uts;
} held = { -1, -1, -1, -1 };

/* A detached copy of what is mounted at a path, with the attributes set; files of the host with the container's ids. */
static int clone_mount(int dir, const char *path, unsigned flags, unsigned long attributes)
{
	int mount = open_tree(dir, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | flags);
	if (mount < 0)
		return mount;
	struct mount_attr attr = { .attr_set = attributes, .propagation = MS_PRIVATE };
	if (attributes & MOUNT_ATTR_IDMAP)
		attr.userns_fd = held.user;
	must(mount_setattr(mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)), "mount_setattr");
	return mount;
}

#define NOSUID MOUNT_ATTR_NOSUID
#define NODEV MOUNT_ATTR_NODEV
#define NOEXEC MOUNT_ATTR_NOEXEC
#define RDONLY MOUNT_ATTR_RDONLY
#define SHOWN (held.user < 0 ? 0 : MOUNT_ATTR_IDMAP)

static const struct option dev_options[] = { { "mode", "755" }, { "size", "65536k" }, { 0 } };
static const struct option host_pts_options[] = { { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "5" }, { 0 } };
static const struct option pts_options[] = { { "ptmxmode", "0666" }, { "mode", "0620" }, { "gid", "300005" }, { 0 } };
static const struct option shm_options[] = { { "mode", "1777" }, { "size", "65536k" }, { 0 } };
static const struct option tmp_options[] = { { "mode", "1777" }, { "size", "64m" }, { 0 } };
static const struct option run_options[] = { { "mode", "755" }, { "size", "64m" }, { 0 } };

static void make_devices(int root)
{
	static const char *links[][2] = { { "/proc/self/fd", "dev/fd" },
					  { "/proc/self/fd/0", "dev/stdin" },
					  { "/proc/self/fd/1", "dev/stdout" },
					  { "/proc/self/fd/2", "dev/stderr" },
					  { "/proc/kcore", "dev/core" },
					  { "pts/ptmx", "dev/ptmx" } };
	char path[32];

	for (size_t i = 0; i < LENGTH(devices); i++) {
		if (!devices[i].name)
			continue;
		snprintf(path, sizeof(path), "dev/%s", devices[i].name);
		must(mknodat(root, path, S_IFCHR | devices[i].mode, makedev(devices[i].major, devices[i].minor)), path);
	}
	for (size_t i = 0; i < LENGTH(links); i++)
		must(symlinkat(links[i][0], root, links[i][1]), links[i][1]);
}

/* What hides behind a mask: an empty read-only tmpfs for directories, an unopenable file in it for files. */
static int make_mask_source(void)
{
	static const struct option options[] = { { "size", "0" }, { "nr_inodes", "2" }, { "mode", "0" }, { 0 } };
	int mount = make_mount("tmpfs", options, NOSUID | NODEV | NOEXEC);

	must(mknodat(mount, "file", S_IFREG, 0), "mask file");
	struct mount_attr attr = { .attr_set = RDONLY };
	must(mount_setattr(mount, "", AT_EMPTY_PATH, &attr, sizeof(attr)), "mount_setattr mask");
	return mount;
}

/* What the default profile hides, whether the bundle asks for it or not. */
static const char *const masked[] = {
	"proc/acpi",	    "proc/asound",     "proc/dynamic_debug", "proc/interrupts",	 "proc/kallsyms",
	"proc/kcore",	    "proc/key-users",  "proc/keys",	     "proc/kmsg",	 "proc/kpagecgroup",
	"proc/kpagecount",  "proc/kpageflags", "proc/latency_stats", "proc/mtrr",	 "proc/sched_debug",
	"proc/scsi",	    "proc/slabinfo",   "proc/sysrq-trigger", "proc/timer_list",	 "proc/timer_stats",
	"proc/vmallocinfo", "sys/firmware",    "sys/fs/bpf",	     "sys/fs/pstore",	 "sys/fs/selinux",
	"sys/kernel/debug", "sys/kernel/slab", "sys/kernel/security", "sys/kernel/tracing", "sys/kernel/vmcoreinfo",
	"sys/devices/virtual/powercap",
};
static const char *const read_only[] = { "proc/bus", "proc/fs", "proc/irq", "proc/pressure", "proc/sys", "sys/module" };

static void hide_paths(int root)
{
	int source = make_mask_source();
	struct stat st;

	for (size_t i = 0; i < LENGTH(masked); i++) {
		if (fstatat(root, masked[i], &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		const char *from = S_ISDIR(st.st_mode) ? "" : "file";
		int mask = open_tree(source, from, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH);
		must(mask, "open_tree mask");
		attach_mount(mask, root, masked[i]);
	}
	for (size_t i = 0; i < LENGTH(read_only); i++) {
		int copy = clone_mount(root, read_only[i], AT_RECURSIVE, RDONLY | NOSUID | NODEV | NOEXEC);
		if (copy >= 0)
			attach_mount(copy, root, read_only[i]);
	}
	close(source);
}

static void make_common_mounts(int root, int userdata)
{
	attach_mount(make_mount("proc", NULL, NOSUID | NODEV | NOEXEC), root, "proc");
	attach_mount(make_mount("tmpfs", dev_options, NOSUID | MOUNT_ATTR_STRICTATIME), root, "dev");
	must(mkdirat(root, "dev/pts", 0755), "dev/pts");
	must(mkdirat(root, "dev/shm", 0755), "dev/shm");
	must(mkdirat(root, "dev/mqueue", 0755), "dev/mqueue");
	attach_mount(make_mount("sysfs", NULL, NOSUID | NODEV | NOEXEC | RDONLY), root, "sys");
	attach_mount(make_mount("devpts", held.user < 0 ? host_pts_options : pts_options, NOSUID | NOEXEC), root, "dev/pts");
	attach_mount(make_mount("mqueue", NULL, NOSUID | NODEV | NOEXEC), root, "dev/mqueue");
	if (userdata < 0)
		attach_mount(make_mount("tmpfs", shm_options, NOSUID | NODEV | NOEXEC), root, "dev/shm");
	else
		attach_mount(clone_mount(userdata, "shm", 0, NOSUID | NODEV | NOEXEC | SHOWN), root, "dev/shm");
	attach_mount(make_mount("cgroup2", NULL, NOSUID | NODEV | NOEXEC | RDONLY), root, "sys/fs/cgroup");
	make_devices(root);
}

/* podman's four files, and the writable places that come with a root that only we made read-only. */
static void make_podman_mounts(int root, int userdata)
{
	static const char *files[][2] = { { "hosts", "etc/hosts" },
					  { ".containerenv", "run/.containerenv" },
					  { "hostname", "etc/hostname" },
					  { "resolv.conf", "etc/resolv.conf" } };

	attach_mount(make_mount("tmpfs", tmp_options, NOSUID | NODEV), root, "tmp");
	attach_mount(make_mount("tmpfs", run_options, NOSUID | NODEV), root, "run");
	attach_mount(make_mount("tmpfs", tmp_options, NOSUID | NODEV), root, "var/tmp");
	for (size_t i = 0; i < LENGTH(files); i++) {
		int target = openat(root, files[i][1], O_CREAT | O_RDONLY | O_CLOEXEC, 0644);
		must(target, files[i][1]);
		close(target);
		attach_mount(clone_mount(userdata, files[i][0], 0, SHOWN), root, files[i][1]);
	}
}

static void build_root(const char *rootfs, int userdata)
{
	must(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "make / slave");
	int tree = clone_mount(AT_FDCWD, rootfs, AT_RECURSIVE, SHOWN);
	must(tree, rootfs);
	must(move_mount(tree, "", AT_FDCWD, rootfs, MOVE_MOUNT_F_EMPTY_PATH), "move_mount root");

	make_common_mounts(tree, userdata);
	if (userdata >= 0)
		make_podman_mounts(tree, userdata);
	hide_paths(tree);
	struct mount_attr attr = { .attr_set = RDONLY };
	must(mount_setattr(tree, "", AT_EMPTY_PATH, &attr, sizeof(attr)), "mount_setattr root");

	must(fchdir(tree), "fchdir");
	must(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	must(umount2(".", MNT_DETACH), "umount old root");
	must(chdir("/"), "chdir /");
	close(tree);
}

/* ---- ids ----------------------------------------------------------------------------------------------------- */

#define FIRST_ID 300000
#define MAP "0 300000 65536"

static void write_text(const char *path, const char *text)
{
	int f = open(path, O_WRONLY | O_CLOEXEC);
	must(f, path);
	must(write(f, text, strlen(text)), path);
	close(f);
}

static void become_root(void)
{
	must(setresgid(0, 0, 0), "setresgid");
	must(setresuid(0, 0, 0), "setresuid");
}

static int namespace_of(long pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%ld/ns/%s", pid, name);
	int f = open(path, O_RDONLY | O_CLOEXEC);
	must(f, path);
	return f;
}

/* A process in the container's user namespace makes what is to belong to it. */
static void make_user_namespace(void)
{
	int pair[2], pidfd = -1;
	char byte = 0, path[64];
	struct clone_args args = { .flags = CLONE_NEWUSER | CLONE_PIDFD, .pidfd = (unsigned long)&pidfd, .exit_signal = SIGCHLD };
	siginfo_t info;

	must(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), "socketpair");
	long child = syscall(SYS_clone3, &args, sizeof(args));
	must(child, "clone3");
	if (child == 0) {
		close(pair[0]);
		must(read(pair[1], &byte, 1), "read");
		become_root();
		must(unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS), "unshare");
		write_text("/proc/sys/user/max_user_namespaces", "0");
		must(write(pair[1], &byte, 1), "write");
		must(read(pair[1], &byte, 1), "read");
		_exit(0);
	}
	close(pair[1]);
	snprintf(path, sizeof(path), "/proc/%ld/gid_map", child);
	write_text(path, MAP);
	snprintf(path, sizeof(path), "/proc/%ld/uid_map", child);
	write_text(path, MAP);
	must(write(pair[0], &byte, 1), "write");
	must(read(pair[0], &byte, 1), "read");
	held.user = namespace_of(child, "user");
	held.net = namespace_of(child, "net");
	held.ipc = namespace_of(child, "ipc");
	held.uts = namespace_of(child, "uts");
	close(pair[0]);
	must(waitid(P_PIDFD, pidfd, &info, WEXITED), "waitid");
	close(pidfd);
}

/* What is made in the tree from here on belongs to root of the container. */
static void own_what_is_made(void)
{
	must(prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP), "PR_SET_SECUREBITS");
	syscall(SYS_setfsgid, FIRST_ID);
	syscall(SYS_setfsuid, FIRST_ID);
}

/* Last: a mount namespace of the container's own user namespace, in which the kernel locks what was made before. */
static void enter_user_namespace(void)
{
	must(setns(held.user, CLONE_NEWUSER), "setns user");
	must(unshare(CLONE_NEWNS | CLONE_NEWCGROUP), "unshare");
	become_root();
}

/* ---- the process --------------------------------------------------------------------------------------------- */

static void raise_loopback(void)
{
	struct ifreq request = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(s, "socket");
	must(ioctl(s, SIOCSIFFLAGS, &request), "SIOCSIFFLAGS lo");
	close(s);
}

static void drop_capabilities(unsigned long keep)
{
	struct __user_cap_header_struct header = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[2] = {
		{ .effective = keep, .permitted = keep },
		{ .effective = keep >> 32, .permitted = keep >> 32 },
	};

	for (int cap = 0; cap <= CAP_LAST_CAP; cap++)
		if (!(keep >> cap & 1))
			must(prctl(PR_CAPBSET_DROP, cap, 0, 0, 0), "PR_CAPBSET_DROP");
	must(setgroups(0, NULL), "setgroups");
	must(setresgid(0, 0, 0), "setresgid");
	must(setresuid(0, 0, 0), "setresuid");
	must(syscall(SYS_capset, &header, data), "capset");
}

struct filter {
	struct sock_filter code[4096];
	struct sock_fprog program;
};

static void read_filter(const char *path, struct filter *filter)
{
	int f = open(path, O_RDONLY | O_CLOEXEC);
	must(f, path);
	ssize_t size = read(f, filter->code, sizeof(filter->code));
	must(size, path);
	close(f);
	filter->program = (struct sock_fprog){ .len = size / sizeof(struct sock_filter), .filter = filter->code };
}

static void confine(unsigned long capabilities, struct filter *filters, int count)
{
	struct rlimit files = { 1024, 1024 }, core = { 0, 0 };

	must(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, "floor"), "keyctl");
	must(setrlimit(RLIMIT_NOFILE, &files), "setrlimit");
	must(setrlimit(RLIMIT_CORE, &core), "setrlimit");
	umask(022);
	drop_capabilities(capabilities);
	must(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "PR_SET_NO_NEW_PRIVS");
	for (int i = 0; i < count; i++)
		must(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, &filters[i].program),
		     "seccomp");
	must(close_range(3, ~0U, CLOSE_RANGE_CLOEXEC), "close_range");
}

#define CAP(name) (1UL << CAP_##name)
static const unsigned long plain_caps = CAP(KILL) | CAP(NET_BIND_SERVICE);
static const unsigned long podman_caps = CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FOWNER) | CAP(FSETID) | CAP(KILL) |
					 CAP(NET_BIND_SERVICE) | CAP(SETGID) | CAP(SETUID);

static _Noreturn void container(const char *rootfs, const char *userdata_path, struct filter *filters, int count)
{
	static char *const argv[] = { "/bin/true", NULL };
	static char *const envp[] = { "PATH=/bin", NULL };
	int userdata = -1;

	/* Not in clone3: the namespace's root would then be the parent's cgroup. */
	must(unshare(CLONE_NEWCGROUP), "unshare cgroup");
	if (held.user >= 0) {
		must(setns(held.net, CLONE_NEWNET), "setns net");
		must(setns(held.ipc, CLONE_NEWIPC), "setns ipc");
		must(setns(held.uts, CLONE_NEWUTS), "setns uts");
	}
	raise_loopback();
	must(sethostname("floor", 5), "sethostname");
	if (userdata_path) {
		write_text("/proc/sys/net/ipv4/ping_group_range", held.user < 0 ? "0 0" : "300000 300000");
		/* Here and not before clone3: open_tree refuses mounts of another mount namespace. */
		must(userdata = open(userdata_path, O_PATH | O_DIRECTORY | O_CLOEXEC), userdata_path);
	}
	if (held.user >= 0)
		own_what_is_made();
	build_root(rootfs, userdata);
	if (held.user >= 0)
		enter_user_namespace();
	confine(userdata < 0 ? plain_caps : podman_caps, filters, count);
	execve(argv[0], argv, envp);
	must(-1, "execve /bin/true");
	_exit(125);
}

static int run(const char *rootfs, const char *userdata, int cgroup, struct filter *filters, int count)
{
	int pidfd = -1;
	struct clone_args args = {
		.flags = CLONE_NEWPID | CLONE_NEWNS | CLONE_PIDFD | CLONE_INTO_CGROUP |
			 (held.user < 0 ? CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS : 0),
		.pidfd = (unsigned long)&pidfd,
		.exit_signal = SIGCHLD,
		.cgroup = cgroup,
	};
	siginfo_t info = { 0 };

	long child = syscall(SYS_clone3, &args, sizeof(args));
	must(child, "clone3");
	if (child == 0)
		container(rootfs, userdata, filters, count);
	must(waitid(P_PIDFD, pidfd, &info, WEXITED), "waitid");
	return info.si_code == CLD_EXITED ? info.si_status : 128 + info.si_status;
}

int main(int argc, char **argv)
{
	static struct filter filters[2];
	int host_ids = argc > 1 && strcmp(argv[1], "--host-ids") == 0;
	argc -= host_ids;
	argv += host_ids;
	int podman = argc > 1 && strcmp(argv[1], "podman") == 0;
	int first = 5 + podman;
	int count = argc - first;
	char path[4096];

	if (argc < 5 || count < 0 || count > 2) {
		fprintf(stderr, "usage: floor [--host-ids] plain|podman ROOTFS CGROUP_ROOT NAME [USERDATA] BPF...\n");
		return 125;
	}
	for (int i = 0; i < count; i++)
		read_filter(argv[first + i], &filters[i]);

	snprintf(path, sizeof(path), "%s/%s", argv[3], argv[4]);
	must(mkdir(path, 0755), path);
	int cgroup = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	must(cgroup, path);
	restrict_devices(cgroup);
	if (!host_ids)
		make_user_namespace();
	int status = run(argv[2], podman ? argv[5] : NULL, cgroup, filters, count);
	must(rmdir(path), "rmdir cgroup");
	return status;
}
