//! What a supervisor pushes: refused with problems, or a state of which a snapshot is built, and
//! built again over itself.

#![no_main]

use dataplane::agent::decode;
use libfuzzer_sys::fuzz_target;
use policy::Snapshot;
use policy::ids::StableIds;
use prost::Message;
use proto::Revision;
use proto::rpc::switch as rpc;

fuzz_target!(|message: &[u8]| {
    let Ok(push) = rpc::Push::decode(message) else { return };
    let revision = Revision::new(push.revision);
    let nothing = rpc::HostIntent::default();
    let decoded = decode::resulting_intent(push, Revision::NONE, &nothing)
        .and_then(|intent| decode::host_intent(&intent));
    let mut ids = StableIds::default();
    let problems = match decoded {
        Ok(intent) => match Snapshot::build(&intent, revision, &mut ids) {
            Ok(_) => {
                let again = Snapshot::build(&intent, revision, &mut ids);
                assert!(again.is_ok(), "{again:?}");
                return;
            }
            Err(problems) => problems,
        },
        Err(problems) => problems,
    };
    assert!(!problems.is_empty());
    assert!(!decode::rejected(revision, &problems).problems.is_empty());
});
