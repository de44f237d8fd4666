//! vNICs are plugged in, move and are plugged out: the part of [`State`] that numbers them.
//!
//! Rules: a vNIC is its VM and adapter. Its number is the smallest never used before, and its for
//! ever; it gets it back when it returns, on this host or another. An address that was not given is
//! allotted once and kept. A port that moves is taken from the host it was at: the last attach
//! wins. The host is the authority on what is plugged in at it: a hello plugs out what it leaves
//! out, but claims no port that another host has.

use std::collections::BTreeSet;

use policy::config::Name;
use proto::{MacAddr, ModuleId, VethId};

use crate::commit::Draft;
use crate::event::{AttachRequest, Attachment, DetachRequest, Effect, Message, Now, SessionId};
use crate::inventory::{self, Binding};
use crate::log::Severity;
use crate::revision::RevisionKind;
use crate::state::State;

/// The longest name of a VM or an adapter, in bytes.
const NAME_LEN_MAX: usize = 64;

impl State {
    /// A vNIC was plugged in.
    pub(crate) fn attach(
        &mut self,
        now: Now,
        session: SessionId,
        module: ModuleId,
        request: &AttachRequest,
    ) -> Vec<Effect> {
        let request_id = request.request_id;
        let granted = self
            .binding_for(module, request)
            .and_then(|binding| Ok((self.bind(now, &binding)?, binding)));
        match granted {
            Ok((mut effects, binding)) => {
                self.report_duplicates(now, &binding);
                effects.push(Effect::Send(
                    session,
                    Message::Granted {
                        request_id,
                        veth: binding.veth,
                        mac: binding.mac,
                        revision: self.target(module),
                    },
                ));
                effects
            }
            Err(reason) => {
                let message =
                    format!("vNIC {} of {} got no port: {reason}", request.adapter, request.vm);
                self.note(now, module, Severity::Warning, "attach-refused", message);
                vec![Effect::Send(session, Message::Refused { request_id, reason })]
            }
        }
    }

    /// The port that a request leads to, or a sentence why there is none.
    fn binding_for(&self, module: ModuleId, request: &AttachRequest) -> Result<Binding, String> {
        named("a VM", &request.vm)?;
        named("an adapter", &request.adapter)?;
        let profile: Name = request.profile.parse().map_err(|e| format!("profile: {e}"))?;
        let known = inventory::find(&self.bindings, &request.vm, &request.adapter);
        let veth = match known {
            Some(binding) => binding.veth,
            None => inventory::free_veth(&self.bindings)
                .ok_or("every vEthernet number is given: 1,048,575 vNICs are known")?,
        };
        let mac = match (request.mac.as_str(), known) {
            ("", Some(binding)) => binding.mac,
            ("", None) => inventory::allot_mac(&self.bindings, veth)
                .ok_or("no address is left for this vNIC: give one")?,
            (given, _) => given.parse::<MacAddr>().map_err(|e| e.to_string())?,
        };
        is_address(mac)?;
        let (vm, adapter) = (request.vm.clone(), request.adapter.clone());
        Ok(Binding { veth, vm, adapter, mac, profile, module: Some(module) })
    }

    /// Commits a port, unless it is already so.
    fn bind(&mut self, now: Now, binding: &Binding) -> Result<Vec<Effect>, String> {
        let before = self.bindings.get(&binding.veth);
        if before == Some(binding) {
            return Ok(Vec::new());
        }
        let name = binding.interface();
        let (vm, adapter) = (&binding.vm, &binding.adapter);
        let was_at = before.and_then(|b| b.module).filter(|at| Some(*at) != binding.module);
        let at = binding.module.map_or(0, ModuleId::get);
        let comment = match was_at {
            Some(from) => format!("{name} ({vm} {adapter}) moves from module {from} to {at}"),
            None => format!("{name} is {vm} {adapter} on module {at}"),
        };
        let mut draft = Draft::new(RevisionKind::Attach, comment.clone());
        draft.put_binding(binding.clone());
        let effects = self.commit(now, draft).map_err(|problems| {
            problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
        })?;
        if was_at.is_some() {
            self.note(now, binding.module, Severity::Notice, "vethernet-moved", comment);
        }
        Ok(effects)
    }

    /// Says so when the address of a port is up at another host too: no error in itself.
    fn report_duplicates(&mut self, now: Now, of: &Binding) {
        let duplicates: Vec<String> = self
            .bindings
            .values()
            .filter(|b| b.mac == of.mac && b.veth != of.veth)
            .filter_map(|b| Some(format!("{} on module {}", b.interface(), b.module?)))
            .collect();
        if !duplicates.is_empty() {
            let message = format!(
                "address {} of {} ({} {}) is also that of {}",
                of.mac,
                of.interface(),
                of.vm,
                of.adapter,
                duplicates.join(", ")
            );
            self.note(now, of.module, Severity::Warning, "duplicate-mac", message);
        }
    }

    /// A vNIC was plugged out. Its number stays its own.
    pub(crate) fn detach(
        &mut self,
        now: Now,
        session: SessionId,
        module: ModuleId,
        request: DetachRequest,
    ) -> Vec<Effect> {
        let request_id = request.request_id;
        let found = VethId::new(request.veth).ok().and_then(|veth| self.bindings.get(&veth));
        let reply =
            |refused: String| Effect::Send(session, Message::Detached { request_id, refused });
        let Some(binding) = found.filter(|b| b.module == Some(module)).cloned() else {
            let at = found.and_then(|b| b.module);
            return vec![reply(match at {
                Some(other) => format!("Vethernet{} is at module {other} now", request.veth),
                None => format!("Vethernet{} is not plugged in", request.veth),
            })];
        };
        let mut effects = self.unbind(now, binding);
        effects.push(reply(String::new()));
        effects
    }

    fn unbind(&mut self, now: Now, binding: Binding) -> Vec<Effect> {
        let comment =
            format!("{} ({} {}) is plugged out", binding.interface(), binding.vm, binding.adapter);
        let mut draft = Draft::new(RevisionKind::Detach, comment);
        draft.put_binding(Binding { module: None, ..binding });
        self.commit_unchecked(now, draft)
    }

    /// The ports that change because of what a host says is plugged in at it.
    pub(crate) fn reconcile(
        &mut self,
        now: Now,
        module: ModuleId,
        attachments: &[Attachment],
    ) -> Vec<Binding> {
        let mut changed = Vec::new();
        let (mut present, mut vnics) = (BTreeSet::new(), BTreeSet::new());
        for attachment in attachments {
            let is_new = present.insert(attachment.veth)
                && vnics.insert((&attachment.vm, &attachment.adapter));
            let claimed = match is_new {
                true => self.claim(module, attachment),
                false => Err("this host says so twice".to_owned()),
            };
            match claimed {
                Ok(Some(binding)) => changed.push(binding),
                Ok(None) => {}
                Err(why) => {
                    let message = format!(
                        "{} {} is plugged in as Vethernet{}, but {why}: plug it out and in again",
                        attachment.vm, attachment.adapter, attachment.veth
                    );
                    self.note(now, module, Severity::Error, "attachment-conflict", message);
                }
            }
        }
        let gone = self
            .bindings
            .values()
            .filter(|b| b.module == Some(module) && !present.contains(&b.veth))
            .map(|b| Binding { module: None, ..b.clone() });
        changed.extend(gone);
        changed
    }

    /// The port of something that is plugged in, when it is not known as such.
    fn claim(&self, module: ModuleId, plugged: &Attachment) -> Result<Option<Binding>, String> {
        named("a VM", &plugged.vm)?;
        named("an adapter", &plugged.adapter)?;
        let Attachment { veth, vm, adapter, mac, profile } = plugged.clone();
        is_address(mac)?;
        let claimed = Binding { veth, vm, adapter, mac, profile, module: Some(module) };
        if let Some(known) = self.bindings.get(&veth) {
            if (&known.vm, &known.adapter) != (&claimed.vm, &claimed.adapter) {
                return Err(format!("that number is {} {}'s", known.vm, known.adapter));
            }
            return match known.module {
                Some(at) if at != module => Err(format!("it moved to module {at}")),
                Some(_) => Ok(None),
                None => Ok(Some(claimed)),
            };
        }
        match inventory::find(&self.bindings, &claimed.vm, &claimed.adapter) {
            Some(known) => Err(format!("it is {}", known.interface())),
            None => Ok(Some(claimed)),
        }
    }
}

fn is_address(mac: MacAddr) -> Result<(), String> {
    match mac.is_valid_source() {
        true => Ok(()),
        false => Err(format!("{mac} is a group address or zero, not the address of a vNIC")),
    }
}

fn named(what: &str, text: &str) -> Result<(), String> {
    let is_legal = !text.is_empty()
        && text.len() <= NAME_LEN_MAX
        && text.bytes().all(|b| b.is_ascii_graphic());
    match is_legal {
        true => Ok(()),
        false => Err(format!(
            "`{}` is not the name of {what}, expected 1..64 printable characters without blanks",
            text.escape_debug().take(NAME_LEN_MAX).collect::<String>()
        )),
    }
}
