//! The chain of the audit: the hash of each record takes in the one before it, so that no record can be changed, left out,
//! put in or moved without all after it being other ones.
//!
//! The hashes have no key. Whoever can write to the file can write a new chain from some record on; that it is another
//! one shows against a hash that was noted elsewhere.

use std::fmt;

use sha2::{Digest as _, Sha256};

/// The hash of a record and of all before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hash([u8; 32]);

impl Hash {
    /// What the first record follows.
    pub const START: Self = Self([0; 32]);

    /// The hash of `record` after this one.
    #[must_use]
    pub fn then(&self, record: &str) -> Self {
        Self(Sha256::new().chain_update(self.0).chain_update(record).finalize().into())
    }

    /// A hash as it is stored.
    #[must_use]
    pub fn of_bytes(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(Self)
    }

    /// As it is stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A hash as it is shown: 64 hex digits.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::of_bytes(&hex::decode(text.trim()).ok()?)
    }
}

impl fmt::Display for Hash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

/// A place in the chain: the number of a record, and its hash. Records are numbered from 1, without gaps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// The number; 0 before the first record.
    pub number: i64,
    /// Its hash.
    pub hash: Hash,
}

impl Link {
    /// Where a new chain begins.
    pub const START: Self = Self { number: 0, hash: Hash::START };

    /// The place of `record`, if it comes right after this one.
    #[must_use]
    pub fn then(&self, record: &str) -> Self {
        Self { number: self.number + 1, hash: self.hash.then(record) }
    }
}

/// Why a chain does not hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Break {
    /// There is none of this number.
    #[error("record {0} is missing")]
    Missing(i64),
    /// There is one more than there can be.
    #[error("record {0} was put in")]
    Extra(i64),
    /// Its hash does not follow from it and from those before it.
    #[error("record {0} is not what was written")]
    Changed(i64),
}

impl Break {
    /// The number of the record.
    #[must_use]
    pub fn number(self) -> i64 {
        match self {
            Self::Missing(number) | Self::Extra(number) | Self::Changed(number) => number,
        }
    }
}

/// A walk along the chain, from its oldest record on.
#[derive(Debug)]
pub struct Walk {
    at: Link,
    sought: Option<Hash>,
    found: bool,
}

impl Walk {
    /// Begins after `start`: the last record that retention has removed, if it has removed any. `sought` is a hash that was
    /// noted elsewhere.
    #[must_use]
    pub fn new(start: Link, sought: Option<Hash>) -> Self {
        Self { at: start, sought, found: sought.is_some_and(|sought| sought == start.hash) }
    }

    /// Takes the next record.
    ///
    /// # Errors
    /// When it does not come next, or is not what was written.
    pub fn step(&mut self, number: i64, record: &str, hash: &[u8]) -> Result<(), Break> {
        let next = self.at.then(record);
        if number > next.number {
            return Err(Break::Missing(next.number));
        }
        if number < next.number {
            return Err(Break::Extra(number));
        }
        if next.hash.as_bytes() != hash {
            return Err(Break::Changed(number));
        }
        self.found |= self.sought == Some(next.hash);
        self.at = next;
        Ok(())
    }

    /// Where it is now.
    #[must_use]
    pub fn at(&self) -> Link {
        self.at
    }

    /// Whether the hash that was noted elsewhere came; none if there was none.
    #[must_use]
    pub fn found(&self) -> Option<bool> {
        self.sought.map(|_| self.found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Row = (i64, &'static str, Hash);

    fn chain() -> Vec<Row> {
        let mut at = Link::START;
        let records = ["{\"a\":1}", "{\"b\":2}", "{\"c\":3}", "{\"d\":4}"];
        let row = |record| {
            at = at.then(record);
            (at.number, record, at.hash)
        };
        records.into_iter().map(row).collect()
    }

    #[track_caller]
    fn check(change: impl FnOnce(&mut Vec<Row>), expected: Result<i64, Break>) {
        let mut rows = chain();
        change(&mut rows);
        rows.sort_by_key(|(number, ..)| *number);
        let mut walk = Walk::new(Link::START, None);
        let walked = rows.iter().try_for_each(|(number, record, hash)| walk.step(*number, record, hash.as_bytes()));
        assert_eq!(walked.map(|()| walk.at().number), expected);
    }

    #[test]
    fn every_change_is_found_at_the_first_record_it_touches() {
        check(|_| (), Ok(4));
        check(|rows| rows[1].1 = "{\"b\":3}", Err(Break::Changed(2)));
        check(|rows| rows[1].2 = Hash::START, Err(Break::Changed(2)));
        check(|rows| rows.retain(|row| row.0 != 2), Err(Break::Missing(2)));
        check(|rows| rows.retain(|row| row.0 != 1), Err(Break::Missing(1)));
        check(|rows| (rows[1].0, rows[2].0) = (3, 2), Err(Break::Changed(2)));
        check(|rows| rows.push((5, "{}", Hash::START)), Err(Break::Changed(5)));
        check(|rows| rows.push((-1, "{}", Hash::START)), Err(Break::Extra(-1)));
        check(
            |rows| {
                let first = rows.remove(0);
                rows.iter_mut().for_each(|row| row.0 -= 1);
                rows.push((4, first.1, first.2));
            },
            Err(Break::Changed(1)),
        );
    }

    #[test]
    fn a_tail_that_was_cut_off_shows_against_a_noted_hash() {
        let rows = chain();
        let noted = rows[3].2;
        let walked = |rows: &[Row], sought| {
            let mut walk = Walk::new(Link::START, sought);
            rows.iter().for_each(|(number, record, hash)| walk.step(*number, record, hash.as_bytes()).unwrap());
            walk.found()
        };
        assert_eq!(walked(&rows, Some(noted)), Some(true));
        assert_eq!(walked(&rows, Some(rows[1].2)), Some(true));
        assert_eq!(walked(&rows[..3], Some(noted)), Some(false));
        assert_eq!(walked(&rows[..3], None), None);
    }

    #[test]
    fn what_retention_removed_is_where_the_walk_begins() {
        let rows = chain();
        let mut walk = Walk::new(Link { number: 2, hash: rows[1].2 }, Some(rows[1].2));
        assert_eq!(walk.step(3, rows[2].1, rows[2].2.as_bytes()), Ok(()));
        assert_eq!((walk.at().number, walk.found()), (3, Some(true)));
        let mut walk = Walk::new(Link { number: 2, hash: rows[0].2 }, None);
        assert_eq!(walk.step(3, rows[2].1, rows[2].2.as_bytes()), Err(Break::Changed(3)));
    }

    #[test]
    fn a_hash_reads_back_as_it_is_shown() {
        let hash = Hash::START.then("x");
        assert_eq!(Hash::parse(&format!(" {hash}\n")), Some(hash));
        assert!(Hash::parse("00").is_none() && Hash::parse("x").is_none());
        // SHA-256 of 32 zero bytes and `x`, from another implementation.
        assert_eq!(hash.to_string(), "fdded6faced1af47fdaaac589602f58e0e040a882627806c42ddcc38da604cf0");
    }
}
