//! Wall-clock time, for what people and the supervisor read. Everything else goes by the dataplane's
//! own clock, which never goes back.

use std::time::{SystemTime, UNIX_EPOCH};

/// Wall-clock time; 0 when the clock stands before 1970.
pub(crate) fn unix_time_ns() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
