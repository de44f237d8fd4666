//! The nearest known word to one that is not known, for "did you mean".

/// Longer words are not compared: the cost is the product of the lengths.
const LEN_MAX: usize = 64;
/// So many words are compared letter by letter, of those that have nearly the same letters: what
/// bounds the work that thousands of names which resemble each other can make.
const COMPARED_MAX: usize = 256;

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
        .filter(|candidate| candidate.len() <= LEN_MAX && letters_differ(&word, candidate) <= limit)
        .take(COMPARED_MAX)
        .map(|candidate| (distance(&word, &candidate.to_ascii_lowercase()), candidate))
        .filter(|(distance, candidate)| *distance <= limit && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many bytes one of them has that the other has not, whatever their order: no more than their
/// [`distance`], for each typing mistake changes, adds or takes one character at most.
fn letters_differ(a: &str, b: &str) -> usize {
    if !a.is_ascii() || !b.is_ascii() {
        return 0;
    }
    let mut surplus = [0i16; 128];
    for (text, one) in [(a, 1), (b, -1)] {
        for byte in text.bytes() {
            surplus[usize::from(byte.to_ascii_lowercase()) % 128] += one;
        }
    }
    let sum_of = |sign: i16| surplus.iter().map(|n| (n * sign).max(0)).sum::<i16>();
    usize::from(sum_of(1).max(sum_of(-1)).unsigned_abs())
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

    proptest::proptest! {
        /// What is left out before the letters are compared in their order would not be near.
        #[test]
        fn letters_differ_by_no_more_than_the_distance(a in "[a-d]{0,9}", b in "[a-d]{0,9}") {
            proptest::prop_assert!(letters_differ(&a, &b) <= distance(&a, &b));
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
