//! Who is inside a door: pure bookkeeping, shared by the door and its connections.
//!
//! Invariants: `silent.len() + leaving <= open <= max`. A connection that has begun to speak is
//! never sent away, and one that was sent away never begins: both are decided under one lock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Waker};

#[derive(Debug, Default)]
struct Table {
    open: usize,
    next: u64,
    /// By age, with the tasks that wait for their first bytes.
    silent: BTreeMap<u64, Option<Waker>>,
    /// Sent away, and still to be closed.
    leaving: usize,
    /// The door, when somebody waits in it.
    door: Option<Waker>,
}

/// The table of one door.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    table: Arc<Mutex<Table>>,
    max: usize,
}

/// What becomes of a newcomer.
#[derive(Debug)]
pub(crate) enum Admission {
    /// It has a place.
    Admitted(Place),
    /// It will have one as soon as somebody has left.
    Wait,
    /// All places belong to connections that speak.
    Refused,
}

impl Places {
    pub(crate) fn new(max: usize) -> Self {
        Self { table: Arc::default(), max }
    }

    fn lock(&self) -> MutexGuard<'_, Table> {
        // No code that can panic holds the lock.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks for a place. After [`Admission::Wait`] the task is woken when it is worth asking again.
    pub(crate) fn ask(&self, cx: &Context<'_>) -> Admission {
        let mut table = self.lock();
        if table.open < self.max {
            table.open += 1;
            table.next += 1;
            let id = table.next;
            table.silent.insert(id, None);
            return Admission::Admitted(Place { places: self.clone(), id, speaks: false });
        }
        if table.leaving == 0 {
            let Some((_, waker)) = table.silent.pop_first() else { return Admission::Refused };
            table.leaving = 1;
            // Without a waker it was never polled, and will see it when it is.
            if let Some(waker) = waker {
                waker.wake();
            }
        }
        table.door = Some(cx.waker().clone());
        Admission::Wait
    }
}

/// A place of a connection, given back on drop.
#[derive(Debug)]
pub(crate) struct Place {
    places: Places,
    id: u64,
    speaks: bool,
}

impl Place {
    /// Whether a silent connection may stay. Its task is woken when it no longer may.
    pub(crate) fn may_stay(&self, cx: &Context<'_>) -> bool {
        match self.places.lock().silent.get_mut(&self.id) {
            Some(waker) => {
                *waker = Some(cx.waker().clone());
                true
            }
            None => false,
        }
    }

    /// The connection begins to speak. False: too late, it was sent away.
    pub(crate) fn speak(&mut self) -> bool {
        self.speaks = self.places.lock().silent.remove(&self.id).is_some();
        self.speaks
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut table = self.places.lock();
        table.open -= 1;
        if table.silent.remove(&self.id).is_none() && !self.speaks {
            table.leaving -= 1;
        }
        if let Some(door) = table.door.take() {
            door.wake();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn admit(places: &Places) -> Option<Place> {
        match places.ask(&Context::from_waker(Waker::noop())) {
            Admission::Admitted(place) => Some(place),
            Admission::Wait => None,
            Admission::Refused => panic!("refused"),
        }
    }

    fn may_stay(place: &Place) -> bool {
        place.may_stay(&Context::from_waker(Waker::noop()))
    }

    #[test]
    fn who_is_silent_longest_makes_room_and_nobody_else() {
        let places = Places::new(3);
        let mut first = admit(&places).expect("room");
        let (second, third) = (admit(&places).expect("room"), admit(&places).expect("room"));
        assert!(first.speak());
        // However often the newcomer asks, one is enough.
        for _ in 0..3 {
            assert!(admit(&places).is_none());
        }
        assert!(!may_stay(&second) && may_stay(&third));
        drop(second);
        let fourth = admit(&places).expect("the place of the second");
        assert!(admit(&places).is_none());
        assert!(!may_stay(&third) && may_stay(&fourth));
    }

    #[test]
    fn places_of_those_who_speak_are_theirs() {
        let places = Places::new(2);
        let mut inside: Vec<Place> = (0..2).map(|_| admit(&places).expect("room")).collect();
        assert!(inside.iter_mut().all(Place::speak));
        let refused = places.ask(&Context::from_waker(Waker::noop()));
        assert!(matches!(refused, Admission::Refused), "{refused:?}");
        drop(inside.pop());
        assert!(admit(&places).is_some());
    }

    #[test]
    fn who_was_sent_away_cannot_begin_to_speak() {
        let places = Places::new(1);
        let mut slow = admit(&places).expect("room");
        assert!(admit(&places).is_none());
        assert!(!slow.speak());
        drop(slow);
        assert!(admit(&places).is_some());
    }

    #[test]
    fn every_place_comes_back_however_it_is_left() {
        let places = Places::new(2);
        for round in 0..100 {
            let mut one = admit(&places).expect("room");
            let other = admit(&places).expect("room");
            if round % 2 == 0 {
                one.speak();
            }
            if round % 3 == 0 {
                assert!(admit(&places).is_none());
            }
            drop((one, other));
        }
        let table = places.lock();
        assert_eq!((table.open, table.leaving, table.silent.len()), (0, 0, 0));
    }
}
