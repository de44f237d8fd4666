//! The nearest known word to one that is not known, for "did you mean".

/// Longer words are not compared: the cost is the product of the lengths.
const LEN_MAX: usize = 64;

/// The candidate with the fewest typing mistakes from `word`, when they are few enough to be
/// mistakes: one in a short word, a third of its letters in a long one. The first of equals wins.
pub(crate) fn nearest<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    let word = word.to_ascii_lowercase();
    let limit = match word.chars().count() {
        0 | 65.. => return None,
        n => (n / 3).max(1),
    };
    candidates
        .into_iter()
        .filter(|candidate| candidate.len() <= LEN_MAX)
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Optimal string alignment distance: insertions, deletions, replacements and swaps of neighbours.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut before = vec![0; b.len() + 1];
    let mut above: Vec<usize> = (0..=b.len()).collect();
    for i in 1..=a.len() {
        let mut row = vec![i; b.len() + 1];
        for j in 1..=b.len() {
            let replaced = above[j - 1] + usize::from(a[i - 1] != b[j - 1]);
            row[j] = replaced.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                row[j] = row[j].min(before[j - 2] + 1);
            }
        }
        before = std::mem::replace(&mut above, row);
    }
    above[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_typing_mistakes() {
        for (a, b, expected) in [
            ("", "", 0),
            ("vlan", "vlan", 0),
            ("vlna", "vlan", 1),
            ("acess", "access", 1),
            ("trunkk", "trunk", 1),
            ("mode", "mtu", 3),
            ("", "abc", 3),
        ] {
            assert_eq!((distance(a, b), distance(b, a)), (expected, expected), "{a} {b}");
        }
    }

    #[test]
    fn only_a_near_word_is_offered() {
        let words = ["access", "mode", "trunk"];
        assert_eq!(nearest("acess", words), Some("access"));
        assert_eq!(nearest("TRNUK", words), Some("trunk"));
        assert_eq!(nearest("description", words), None);
        assert_eq!(nearest("", words), None);
        assert_eq!(nearest(&"x".repeat(1 << 20), words), None);
    }
}
