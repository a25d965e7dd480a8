//! Names near one that is not there.

/// Most names given.
const MAX_NEAR: usize = 3;
/// How alike two paths have to be, by the slips of the pen between them: at most one in four letters.
const ALIKE: f64 = 0.75;

/// The paths of `all` that are most like `wanted`, the most alike first; the same name elsewhere counts as alike.
pub(crate) fn near<'a>(wanted: &str, all: &'a [String]) -> Vec<&'a str> {
    let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_lowercase();
    let wanted_name = name(wanted);
    let alike = |path: &str| {
        if name(path) == wanted_name {
            return 1.0;
        }
        strsim::normalized_damerau_levenshtein(&path.to_lowercase(), &wanted.to_lowercase())
    };
    let mut found: Vec<(f64, &str)> = all.iter().map(|path| (alike(path), path.as_str())).collect();
    found.retain(|(score, _)| *score >= ALIKE);
    found.sort_by(|(one, _), (other, _)| other.total_cmp(one));
    found.into_iter().take(MAX_NEAR).map(|(_, path)| path).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_of_the_pen_and_another_folder_are_near() {
        let all = ["people/ada.md", "people/grace.md", "plans/2026.md", "x.txt"].map(str::to_owned);
        assert_eq!(near("people/adda.md", &all), ["people/ada.md"]);
        assert_eq!(near("ada.md", &all), ["people/ada.md"]);
        assert_eq!(near("Plans/2026.MD", &all), ["plans/2026.md"]);
        assert_eq!(near("recipes.doc", &all), [""; 0]);
    }
}
