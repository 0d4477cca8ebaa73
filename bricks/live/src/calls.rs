//! System calls that a run does not need, and that would lead to new rights.

use crate::LiveError;
use crate::privileges::{Connections, refused};
use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};
use std::collections::BTreeMap;

/// System calls that fail with EPERM once rights are given up: those that run programs, look into other processes or signal them,
/// change mounts, namespaces, clocks, keys or the kernel, and get around this list. A list of what is allowed would have to
/// follow every allocator and C library; what is left out here is what the packet path never asks for.
pub const DENIED: &[libc::c_long] = &[
    libc::SYS_execve,
    libc::SYS_execveat,
    libc::SYS_ptrace,
    libc::SYS_process_vm_readv,
    libc::SYS_process_vm_writev,
    libc::SYS_process_madvise,
    libc::SYS_kcmp,
    libc::SYS_kill,
    libc::SYS_tkill,
    libc::SYS_rt_sigqueueinfo,
    libc::SYS_rt_tgsigqueueinfo,
    libc::SYS_pidfd_open,
    libc::SYS_pidfd_getfd,
    libc::SYS_pidfd_send_signal,
    libc::SYS_mount,
    libc::SYS_umount2,
    libc::SYS_pivot_root,
    libc::SYS_chroot,
    libc::SYS_open_tree,
    libc::SYS_move_mount,
    libc::SYS_fsopen,
    libc::SYS_fsconfig,
    libc::SYS_fsmount,
    libc::SYS_fspick,
    libc::SYS_mount_setattr,
    libc::SYS_open_by_handle_at,
    libc::SYS_unshare,
    libc::SYS_setns,
    libc::SYS_listen,
    libc::SYS_bpf,
    libc::SYS_perf_event_open,
    libc::SYS_userfaultfd,
    libc::SYS_io_uring_setup,
    libc::SYS_add_key,
    libc::SYS_request_key,
    libc::SYS_keyctl,
    libc::SYS_init_module,
    libc::SYS_finit_module,
    libc::SYS_delete_module,
    libc::SYS_kexec_load,
    libc::SYS_reboot,
    libc::SYS_swapon,
    libc::SYS_swapoff,
    libc::SYS_acct,
    libc::SYS_quotactl,
    libc::SYS_sethostname,
    libc::SYS_setdomainname,
    libc::SYS_settimeofday,
    libc::SYS_clock_settime,
    libc::SYS_clock_adjtime,
    libc::SYS_adjtimex,
    libc::SYS_personality,
    libc::SYS_mknodat,
    libc::SYS_vhangup,
];

/// Those that take connections: refused where nothing listens when rights are given up. What listens later is refused anyway.
pub(crate) const ACCEPTING: &[libc::c_long] = &[libc::SYS_accept, libc::SYS_accept4];

/// Those of them by which processes that run bricks are started and ended.
const HOSTING: &[libc::c_long] =
    &[libc::SYS_execve, libc::SYS_kill, libc::SYS_pidfd_open, libc::SYS_pidfd_send_signal];

/// The same, of this processor's older system calls.
#[cfg(target_arch = "x86_64")]
const OLDER: &[libc::c_long] = &[
    libc::SYS_mknod,
    libc::SYS_modify_ldt,
    libc::SYS_iopl,
    libc::SYS_ioperm,
    libc::SYS_uselib,
    libc::SYS_kexec_file_load,
];
#[cfg(not(target_arch = "x86_64"))]
const OLDER: &[libc::c_long] = &[];

/// The bit by which x86-64 numbers the system calls of its 32-bit pointers, which pass as those of 64 bits otherwise.
const X32: i64 = 0x4000_0000;

type Rules = BTreeMap<i64, Vec<SeccompRule>>;

/// Lets the calling thread, and those that it starts, have these system calls no more.
///
/// # Errors
/// [`LiveError::Privileges`] when the system refuses.
pub(crate) fn deny(connections: Connections) -> Result<(), LiveError> {
    let failed = |error: &dyn std::fmt::Display| refused("system calls", error);
    // Where its flags cannot be looked at, a library takes the older call.
    let unknown = both([(libc::SYS_clone3, Vec::new())]);
    let rules = rules(connections).map_err(|error| failed(&error))?;
    for (rules, errno) in [(unknown, libc::ENOSYS), (rules, libc::EPERM)] {
        let program = compile(rules, errno).map_err(|error| failed(&error))?;
        seccompiler::apply_filter(&program).map_err(|error| failed(&error))?;
    }
    Ok(())
}

fn rules(connections: Connections) -> Result<Rules, BackendError> {
    let accepting = if connections == Connections::None { ACCEPTING } else { &[] };
    let needed = |call: &&libc::c_long| connections == Connections::Hosts && HOSTING.contains(call);
    let denied = DENIED.iter().filter(|call| !needed(call));
    let whole = denied.chain(OLDER).chain(accepting).map(|call| (*call, Vec::new()));
    let stream = |family: libc::c_int| {
        SeccompRule::new(vec![
            condition(0, SeccompCmpOp::Eq, family as u64)?,
            condition(1, SeccompCmpOp::MaskedEq(0xf), libc::SOCK_STREAM as u64)?,
        ])
    };
    let users = libc::CLONE_NEWUSER as u64;
    let new_users = SeccompRule::new(vec![condition(0, SeccompCmpOp::MaskedEq(users), users)?])?;
    let others = condition(0, SeccompCmpOp::Ne, u64::from(std::process::id()))?;
    let mut some =
        vec![(libc::SYS_clone, vec![new_users]), (libc::SYS_tgkill, vec![SeccompRule::new(vec![others])?])];
    if !matches!(connections, Connections::Outgoing | Connections::Hosts) {
        some.push((libc::SYS_socket, vec![stream(libc::AF_INET)?, stream(libc::AF_INET6)?]));
    }
    Ok(both(whole.chain(some)))
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value)
}

/// Rules under both numbers that a call may have.
fn both(rules: impl IntoIterator<Item = (libc::c_long, Vec<SeccompRule>)>) -> Rules {
    let twice =
        |(call, rules): (libc::c_long, Vec<SeccompRule>)| [(call, rules.clone()), (call | X32, rules)];
    rules.into_iter().flat_map(twice).collect()
}

fn compile(rules: Rules, errno: libc::c_int) -> Result<BpfProgram, BackendError> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH)?;
    let refuse = SeccompAction::Errno(errno as u32);
    BpfProgram::try_from(SeccompFilter::new(rules, SeccompAction::Allow, refuse, architecture)?)
}
