//! What a step may do: whom it is, its capabilities, its limits.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CapabilitySet, CapabilitySets};

use super::run::Given;
use crate::sandbox::{Fault, Limit, Step};

/// docker's default set, but for `MKNOD`: a device could not be made in a user namespace, and would not be opened
/// here either.
const CAPABILITIES: CapabilitySet = CapabilitySet::CHOWN
    .union(CapabilitySet::DAC_OVERRIDE)
    .union(CapabilitySet::FOWNER)
    .union(CapabilitySet::FSETID)
    .union(CapabilitySet::KILL)
    .union(CapabilitySet::SETGID)
    .union(CapabilitySet::SETUID)
    .union(CapabilitySet::SETPCAP)
    .union(CapabilitySet::NET_BIND_SERVICE)
    .union(CapabilitySet::NET_RAW)
    .union(CapabilitySet::SYS_CHROOT)
    .union(CapabilitySet::AUDIT_WRITE)
    .union(CapabilitySet::SETFCAP);

/// The same everywhere, where the system does not allow less.
const OPEN_FILES: (u64, u64) = (1024, 16384);
const STACK: u64 = 8 << 20;

pub(super) fn limits(given: &Given) -> Result<(), Fault> {
    set(Resource::Core, 0, Some(0))?;
    set(Resource::Nofile, OPEN_FILES.0, Some(OPEN_FILES.1))?;
    set(Resource::Stack, STACK, None)?;
    for (limit, value) in &given.own_limits {
        let resource = match limit {
            Limit::Memory => Resource::Data,
            Limit::Pids => Resource::Nproc,
        };
        set(resource, *value, Some(*value))?;
    }
    Ok(())
}

/// Never more than is allowed.
fn set(resource: Resource, current: u64, maximum: Option<u64>) -> Result<(), Fault> {
    let allowed = getrlimit(resource).maximum;
    let maximum = match (maximum, allowed) {
        (Some(wanted), Some(allowed)) => Some(wanted.min(allowed)),
        (wanted, allowed) => wanted.or(allowed),
    };
    let current = Some(maximum.map_or(current, |maximum| current.min(maximum)));
    setrlimit(resource, Rlimit { current, maximum }).map_err(Fault::doing("limiting resources"))
}

/// Takes the capabilities that no program of the step is ever to have.
pub(super) fn bound() -> Result<(), Fault> {
    for number in 0..64 {
        let one = CapabilitySet::from_bits_retain(1 << number);
        if CAPABILITIES.contains(one) {
            continue;
        }
        match rustix::thread::remove_capability_from_bounding_set(one) {
            Ok(()) => {}
            // Beyond the last one.
            Err(Errno::INVAL) => break,
            Err(error) => return Err(Fault::doing("bounding capabilities")(error)),
        }
    }
    Ok(())
}

/// Becomes the step's user. The kernel takes all capabilities of who becomes another than root.
pub(super) fn become_user(step: &Step, given: &Given) -> Result<(), Fault> {
    use rustix::process::{Gid, Uid};
    use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};
    let (uid, gid) = (Uid::from_raw(step.user.uid), Gid::from_raw(step.user.gid));
    let (uid_number, gid_number) = (step.user.uid, step.user.gid);
    let failed = |error: Errno| Fault::User { uid: uid_number, gid: gid_number, errno: error.raw_os_error() };
    let groups: Vec<Gid> = step.user.groups.iter().map(|gid| Gid::from_raw(*gid)).collect();
    // With one id, there are no groups to be in.
    if !given.single {
        set_thread_groups(&groups).map_err(failed)?;
    }
    set_thread_res_gid(gid, gid, gid).map_err(failed)?;
    set_thread_res_uid(uid, uid, uid).map_err(failed)
}

/// The capabilities of root, within their bound; of others, none.
pub(super) fn capabilities(step: &Step) -> Result<(), Fault> {
    let doing = || Fault::doing("setting capabilities");
    rustix::thread::clear_ambient_capability_set().map_err(doing())?;
    let held = rustix::thread::capabilities(None).map_err(doing())?.permitted;
    let wanted = match (step.user.uid, step.insecure) {
        (0, true) => held,
        (0, false) => held & CAPABILITIES,
        _ => CapabilitySet::empty(),
    };
    let sets = CapabilitySets { effective: wanted, permitted: wanted, inheritable: CapabilitySet::empty() };
    rustix::thread::set_capabilities(None, sets).map_err(doing())
}
