//! What was found out a short while ago, bounded in number.

use std::collections::HashMap;
use std::hash::Hash;

/// Keeps at least the last `most` entries and at most twice as many: when the younger half is full, the older one goes.
#[derive(Debug)]
pub(super) struct Recent<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
    most: usize,
}

impl<K: Eq + Hash, V> Recent<K, V> {
    pub(super) fn new(most: usize) -> Self {
        Self { young: HashMap::new(), old: HashMap::new(), most }
    }

    pub(super) fn get(&self, key: &K) -> Option<&V> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    pub(super) fn insert(&mut self, key: K, value: V) {
        if self.young.len() >= self.most {
            self.old = std::mem::take(&mut self.young);
        }
        self.old.remove(&key);
        self.young.insert(key, value);
    }

    /// Forgets what `keep` does not want.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&V) -> bool) {
        self.young.retain(|_, value| keep(value));
        self.old.retain(|_, value| keep(value));
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.young.len() + self.old.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_grow_and_keeps_what_is_new() {
        let mut recent = Recent::new(100);
        for number in 0..10_000 {
            recent.insert(number, number);
        }
        assert!(recent.len() <= 200, "{}", recent.len());
        assert_eq!(recent.get(&9_999), Some(&9_999));
        assert_eq!(recent.get(&9_900), Some(&9_900));
        assert_eq!(recent.get(&0), None);
        recent.retain(|number| *number != 9_999);
        assert_eq!(recent.get(&9_999), None);
    }
}
