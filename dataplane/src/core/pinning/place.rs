//! Where each vEthernet belongs, and where it is meanwhile.
//!
//! Three passes: first those whose place is given (by the profile, or because they are there), then
//! those that are new get a place to belong on, and last those whose place is down get another one.
//! So nobody who stays is crowded out by somebody who moves.

use policy::snapshot::{Port, Role, Snapshot, Vethernet};
use proto::InterfaceName;

use super::is_same;
use super::uplinks::{Candidate, Candidates, Kind};
use crate::core::team::{GroupId, PinReason, Placement, TeamState};

/// Where a vEthernet has been placed.
pub(super) struct Placed<'a> {
    pub(super) port: &'a Port,
    /// What the uplink was called that it sent by.
    pub(super) from: Option<InterfaceName>,
    pub(super) group: Option<GroupId>,
    pub(super) placement: Placement,
}

/// Places every vEthernet, in order of the slots.
pub(super) fn run<'a>(
    snapshot: &'a Snapshot,
    candidates: &Candidates<'_>,
    previous: &TeamState,
) -> Vec<Placed<'a>> {
    let vethernets = snapshot.ports().filter_map(|port| match &port.role {
        Role::Vethernet(vethernet) => Some((port, vethernet)),
        Role::Uplink(_) => None,
    });
    let mut wishes: Vec<Wish<'_>> = vethernets
        .map(|(port, vethernet)| Wish::new(port, vethernet, candidates, previous))
        .collect();
    let count = candidates.all().count();
    let mut belonging = Loads::new(count, wishes.iter().filter_map(|wish| wish.home));
    for wish in wishes.iter_mut().filter(|wish| wish.home.is_none()) {
        wish.home = belonging.take_least(wish.best_of(candidates, |c| c.admin_up()));
        let home = wish.home.and_then(|home| candidates.all().nth(home));
        wish.at = wish.at.or_else(|| home.filter(|home| home.up.is_some()).map(|home| home.index));
    }
    let mut loads = Loads::new(count, wishes.iter().filter_map(|wish| wish.at));
    for wish in wishes.iter_mut().filter(|wish| wish.at.is_none()) {
        wish.at = loads.take_least(wish.best_of(candidates, |c| c.up.is_some()));
    }
    wishes.into_iter().map(|wish| wish.placed(candidates)).collect()
}

/// What a vEthernet wants of the uplinks. Candidates are named by their index.
struct Wish<'a> {
    port: &'a Port,
    vethernet: &'a Vethernet,
    from: Option<InterfaceName>,
    /// How many of its VLANs each candidate carries.
    fits: Vec<usize>,
    /// Where it belongs.
    home: Option<usize>,
    /// Where it is to be.
    at: Option<usize>,
}

impl<'a> Wish<'a> {
    /// What it wants by its profile and by where it was.
    fn new(
        port: &'a Port,
        vethernet: &'a Vethernet,
        candidates: &Candidates<'_>,
        previous: &TeamState,
    ) -> Self {
        let known = is_same(previous, Some(port));
        let from = known.then(|| previous.uplink(port.id)).flatten();
        let fits = candidates.all().map(|candidate| candidate.fit(port)).collect();
        let mut wish = Self { port, vethernet, from, fits, home: None, at: None };
        let before = from.and_then(|label| candidates.by_label(label));
        let stay = before.filter(|it| wish.is_best(it, candidates)).map(|it| it.index);
        let remembered = known.then(|| previous.placement(port.id).home).flatten();
        let remembered = remembered.and_then(|key| candidates.by_key(key));
        (wish.home, wish.at) = wish
            .by_profile(candidates, stay)
            .unwrap_or_else(|| wish.by_memory(candidates, remembered, stay));
        wish
    }

    /// Home and place of a vEthernet whose profile names an uplink that carries any of its VLANs.
    fn by_profile(
        &self,
        candidates: &Candidates<'_>,
        stay: Option<usize>,
    ) -> Option<(Option<usize>, Option<usize>)> {
        let nics = self.vethernet.pinned_nics.iter();
        let named = nics.filter_map(|nic| candidates.all().find(|it| it.has_nic(*nic)));
        let mut named = named.filter(|it| self.fit(it) > 0).peekable();
        let home = named.peek()?.index;
        let up = named.find(|it| it.up.is_some()).map(|it| it.index);
        Some((Some(home), up.or(stay)))
    }

    /// Home and place of a vEthernet that was placed before; it makes its home where it is when
    /// there is none.
    fn by_memory(
        &self,
        candidates: &Candidates<'_>,
        remembered: Option<&Candidate<'_>>,
        stay: Option<usize>,
    ) -> (Option<usize>, Option<usize>) {
        // One that is up and no longer fits best is not to wait for; one that is down may be.
        let home = remembered
            .filter(|it| self.fit(it) > 0 && (it.up.is_none() || self.is_best(it, candidates)));
        let home_if_up = home.filter(|it| it.up.is_some());
        (home.map(|it| it.index).or(stay), home_if_up.map(|it| it.index).or(stay))
    }

    fn fit(&self, candidate: &Candidate<'_>) -> usize {
        self.fits.get(candidate.index).copied().unwrap_or(0)
    }

    /// Whether a candidate is up, and no other one that is up carries more of the VLANs.
    fn is_best(&self, candidate: &Candidate<'_>, candidates: &Candidates<'_>) -> bool {
        let is_up = |c: &Candidate<'_>| c.up.is_some();
        self.best_of(candidates, is_up).any(|best| best == candidate.index)
    }

    /// The candidates of a kind that carry the most VLANs, in order; none when none carries any.
    fn best_of<'c>(
        &'c self,
        candidates: &'c Candidates<'_>,
        which: impl Fn(&Candidate<'_>) -> bool + Copy + 'c,
    ) -> impl Iterator<Item = usize> + 'c {
        let such = move || candidates.all().filter(move |candidate| which(candidate));
        let most = such().map(|candidate| self.fit(candidate)).max().unwrap_or(0);
        such()
            .filter(move |candidate| most > 0 && self.fit(candidate) == most)
            .map(|candidate| candidate.index)
    }

    fn placed(self, candidates: &Candidates<'_>) -> Placed<'a> {
        let candidate = |index: Option<usize>| candidates.all().nth(index?);
        let (home, at) = (candidate(self.home), candidate(self.at));
        let placement = Placement {
            home: home.map(|home| home.key),
            preferred: home.map(Candidate::best_label),
            reason: at.and_then(|at| self.reason(at)),
        };
        let group = at.and_then(|at| at.up).map(|up| up.group);
        Placed { port: self.port, from: self.from, group, placement }
    }

    fn reason(&self, at: &Candidate<'_>) -> Option<PinReason> {
        let label = at.up?.label;
        Some(match at.kind {
            Kind::Bundle if label == at.key => PinReason::PortChannel,
            Kind::Bundle | Kind::ActiveStandby => PinReason::Active,
            Kind::Lone => {
                match self.vethernet.pinned_nics.iter().position(|nic| at.has_nic(*nic)) {
                    Some(0) => PinReason::Static,
                    Some(_) => PinReason::Backup,
                    None => PinReason::Automatic,
                }
            }
        })
    }
}

/// How many vEthernets each candidate has.
struct Loads(Vec<u32>);

impl Loads {
    fn new(candidates: usize, taken: impl Iterator<Item = usize>) -> Self {
        let mut loads = Self(vec![0; candidates]);
        taken.for_each(|candidate| loads.take(candidate));
        loads
    }

    fn take(&mut self, candidate: usize) {
        if let Some(load) = self.0.get_mut(candidate) {
            *load += 1;
        }
    }

    /// The least loaded of these, of equals the first; it has one more now.
    fn take_least(&mut self, these: impl Iterator<Item = usize>) -> Option<usize> {
        let least = these.min_by_key(|candidate| self.0.get(*candidate).copied())?;
        self.take(least);
        Some(least)
    }
}
