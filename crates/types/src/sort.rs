//! Sorting, and maps of pairs, without code of their own for each type.
//!
//! The standard library's sort is compiled anew for each type and each comparison, six
//! kilobytes each time, also for every map that is collected. What is short, or sorted
//! seldom, is sorted by its places here: the sort of those is there once.

use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Sorts as `compare` says; what is equal stays in its order.
pub fn by<T>(items: &mut [T], compare: impl Fn(&T, &T) -> Ordering) {
    let mut places = places(items.len(), &|a, b| compare(&items[a], &items[b]));
    // Each cycle of places is gone through once.
    for start in 0..places.len() {
        let mut at = start;
        loop {
            let from = std::mem::replace(&mut places[at], at);
            if from == start {
                break;
            }
            items.swap(at, from);
            at = from;
        }
    }
}

/// Sorts by what `key` makes of the items; what is equal stays in its order.
pub fn by_key<T, K: Ord>(items: &mut [T], key: impl Fn(&T) -> K) {
    by(items, |a, b| key(a).cmp(&key(b)));
}

/// The smallest first.
pub fn ascending<T: Ord>(items: &mut [T]) {
    by(items, T::cmp);
}

/// A map of a few pairs.
pub fn map<K: Ord, V>(pairs: impl IntoIterator<Item = (K, V)>) -> BTreeMap<K, V> {
    pairs.into_iter().into_map()
}

/// Maps of pairs, which are not sorted before.
pub trait IntoMap: Iterator + Sized {
    /// All pairs; the last one of a key counts.
    fn into_map<K: Ord, V>(self) -> BTreeMap<K, V>
    where
        Self: Iterator<Item = (K, V)>,
    {
        let mut map = BTreeMap::new();
        map.extend(self);
        map
    }

    /// All pairs, or the first error.
    ///
    /// # Errors
    /// That.
    fn try_into_map<K: Ord, V, E>(mut self) -> Result<BTreeMap<K, V>, E>
    where
        Self: Iterator<Item = Result<(K, V), E>>,
    {
        self.try_fold(BTreeMap::new(), |mut map, pair| {
            let (key, value) = pair?;
            map.insert(key, value);
            Ok(map)
        })
    }
}

impl<I: Iterator> IntoMap for I {}

/// From where the item of each place is to come.
fn places(count: usize, compare: &dyn Fn(usize, usize) -> Ordering) -> Vec<usize> {
    let mut places: Vec<usize> = (0..count).collect();
    places.sort_by(|a, b| compare(*a, *b));
    places
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_the_standard_library_sorts() {
        let mut state = 1u32;
        for count in 0..200 {
            let mut next = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) % 50
            };
            let items: Vec<(u32, usize)> = (0..count).map(|place| (next(), place)).collect();
            let (mut ours, mut theirs) = (items.clone(), items);
            by_key(&mut ours, |item| item.0);
            theirs.sort_by_key(|item| item.0);
            assert_eq!(ours, theirs);
            ours.reverse();
            ascending(&mut ours);
            theirs.sort();
            assert_eq!(ours, theirs);
        }
    }

    #[test]
    fn the_last_one_of_a_key_counts() {
        let pairs = [("a", 1), ("b", 2), ("a", 3)];
        let map = map(pairs);
        assert_eq!(map.into_iter().collect::<Vec<_>>(), [("a", 3), ("b", 2)]);
        let failing = pairs.map(|pair| if pair.1 == 2 { Err(2) } else { Ok(pair) });
        assert_eq!(failing.into_iter().try_into_map(), Err(2));
    }
}
