//! Two texts, line by line: what stayed, what went, what came.

/// One line of a comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'t> {
    /// In both.
    Same(&'t str),
    /// Only in the old text.
    Old(&'t str),
    /// Only in the new text.
    New(&'t str),
}

/// Comparing takes a table of old lines by new lines. Past this many cells (texts of a thousand different lines each) the
/// whole is shown as replaced: a plugin's definitions must not cost the host more than a moment.
const MOST_CELLS: usize = 1 << 20;

/// The same for many texts together: a service has thousands of tools, and all of them may have changed.
const MOST_CELLS_IN_ALL: usize = 1 << 26;

/// Lines around a difference that are shown with it.
const CONTEXT: usize = 2;

/// The longest comparison that is shown.
const MOST_LINES: usize = 200;

/// What comparing many texts may still cost.
#[derive(Debug)]
pub struct Patience(usize);

impl Default for Patience {
    fn default() -> Self {
        Self(MOST_CELLS_IN_ALL)
    }
}

impl Patience {
    /// Whether there is enough left for a table of so many cells, which is taken then.
    fn covers(&mut self, n_cells: usize) -> bool {
        let left = self.0.checked_sub(n_cells).filter(|_| n_cells <= MOST_CELLS);
        self.0 = left.unwrap_or(self.0);
        left.is_some()
    }
}

/// The shortest way from `old` to `new`.
pub fn lines<'t>(old: &'t str, new: &'t str, patience: &mut Patience) -> Vec<Line<'t>> {
    let (old, new): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
    let start = old.iter().zip(&new).take_while(|(old, new)| old == new).count();
    let end = old[start..].iter().rev().zip(new[start..].iter().rev()).take_while(|(old, new)| old == new).count();
    let same = |lines: &[&'t str]| lines.iter().map(|line| Line::Same(line)).collect::<Vec<_>>();
    let mut found = same(&old[..start]);
    found.extend(middle(&old[start..old.len() - end], &new[start..new.len() - end], patience));
    found.extend(same(&old[old.len() - end..]));
    found
}

fn middle<'t>(old: &[&'t str], new: &[&'t str], patience: &mut Patience) -> Vec<Line<'t>> {
    let replaced = old.iter().map(|line| Line::Old(line)).chain(new.iter().map(|line| Line::New(line)));
    if !patience.covers(old.len().saturating_mul(new.len())) {
        return replaced.collect();
    }
    // The longest common part of what follows each pair of lines, from the end to the start.
    let wide = new.len() + 1;
    let mut longest = vec![0_u32; (old.len() + 1) * wide];
    for at in (0..old.len()).rev() {
        for to in (0..new.len()).rev() {
            longest[at * wide + to] = if old[at] == new[to] {
                longest[(at + 1) * wide + to + 1] + 1
            } else {
                longest[(at + 1) * wide + to].max(longest[at * wide + to + 1])
            };
        }
    }
    let (mut at, mut to, mut found) = (0, 0, Vec::new());
    while at < old.len() || to < new.len() {
        if at < old.len() && to < new.len() && old[at] == new[to] {
            found.push(Line::Same(old[at]));
            (at, to) = (at + 1, to + 1);
        } else if at < old.len() && (to == new.len() || longest[(at + 1) * wide + to] >= longest[at * wide + to + 1]) {
            found.push(Line::Old(old[at]));
            at += 1;
        } else {
            found.push(Line::New(new[to]));
            to += 1;
        }
    }
    found
}

/// The difference as text, a sign and a space before each line; of what stayed, only what stands near it.
pub fn text(old: &str, new: &str, patience: &mut Patience) -> String {
    let lines = lines(old, new, patience);
    let differs: Vec<usize> =
        lines.iter().enumerate().filter(|(_, line)| !matches!(line, Line::Same(_))).map(|(at, _)| at).collect();
    let is_near = |at: usize| {
        let next = differs.partition_point(|known| *known < at);
        let near = |differs: &usize| differs.abs_diff(at) <= CONTEXT;
        differs.get(next).is_some_and(near)
            || next.checked_sub(1).and_then(|before| differs.get(before)).is_some_and(near)
    };
    let mut shown: Vec<String> = Vec::new();
    let mut left_out = false;
    for (at, line) in lines.iter().enumerate() {
        if !is_near(at) {
            left_out = true;
            continue;
        }
        if std::mem::take(&mut left_out) {
            shown.push("  …".to_owned());
        }
        shown.push(match line {
            Line::Same(text) => format!("  {text}").trim_end().to_owned(),
            Line::Old(text) => format!("- {text}"),
            Line::New(text) => format!("+ {text}"),
        });
    }
    let n_more = shown.len().saturating_sub(MOST_LINES);
    if n_more > 0 {
        shown.truncate(MOST_LINES);
        shown.push(format!("  … {n_more} more lines"));
    }
    shown.into_iter().map(|line| line + "\n").collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(old: &str, new: &str, expected: &str) {
        let shown = text(&old.replace(' ', "\n"), &new.replace(' ', "\n"), &mut Patience::default());
        assert_eq!(shown.replace('\n', "|"), expected);
    }

    #[test]
    fn what_went_stands_before_what_came() {
        check("a b c", "a x c", "  a|- b|+ x|  c|");
        check("a b c", "a c", "  a|- b|  c|");
        check("a c", "a b c", "  a|+ b|  c|");
        check("", "a b", "+ a|+ b|");
        check("a b", "", "- a|- b|");
        check("a", "a", "");
    }

    #[test]
    fn of_what_stayed_only_the_neighbours_are_shown() {
        check("a b c d e f g h i j", "a b c d X f g h i J", "  …|  c|  d|- e|+ X|  f|  g|  h|  i|- j|+ J|");
        check("a b c d e f g h i j k", "A b c d e f g h i j K", "- a|+ A|  b|  c|  …|  i|  j|- k|+ K|");
    }

    #[test]
    fn a_difference_of_any_length_costs_a_moment_and_is_cut() {
        let old: String = (0..20_000).map(|n| format!("old {n}\n")).collect();
        let new: String = (0..20_000).map(|n| format!("new {n}\n")).collect();
        let shown = text(&old, &new, &mut Patience::default());
        assert_eq!(shown.lines().count(), 201);
        assert!(shown.ends_with("  … 39800 more lines\n"), "{shown}");
    }

    #[test]
    fn what_is_compared_after_many_others_is_shown_as_replaced() {
        let mut patience = Patience(5);
        assert_eq!(text("a\nb\nc", "x\nb\ny", &mut patience), "- a\n- b\n- c\n+ x\n+ b\n+ y\n");
        assert_eq!(text("a\nb", "x\nb", &mut patience), "- a\n+ x\n  b\n");
        assert_eq!(text("a\nb", "b\nc", &mut patience), "- a\n  b\n+ c\n");
        assert_eq!(text("a\nb", "b\nc", &mut patience), "- a\n- b\n+ b\n+ c\n");
    }

    proptest! {
        #[test]
        fn both_texts_can_be_read_back(old in "[ab\n]{0,40}", new in "[ab\n]{0,40}") {
            let lines = lines(&old, &new, &mut Patience::default());
            let side = |pick: fn(&Line<'_>) -> Option<String>| lines.iter().filter_map(pick).collect::<Vec<_>>();
            let was = side(|line| match line { Line::Same(text) | Line::Old(text) => Some((*text).to_owned()), Line::New(_) => None });
            let is = side(|line| match line { Line::Same(text) | Line::New(text) => Some((*text).to_owned()), Line::Old(_) => None });
            prop_assert_eq!(was, old.lines().map(str::to_owned).collect::<Vec<_>>());
            prop_assert_eq!(is, new.lines().map(str::to_owned).collect::<Vec<_>>());
        }
    }
}
