//! Reading files again when their contents change.
//!
//! Contents are compared on a timer: a mounted Secret or ConfigMap is swapped by a symlink above its files, which events
//! on the files themselves miss. A change counts once two looks in a row saw the same, so that what is seen in the middle
//! of a swap, or of a write, is not taken for the new contents.

mod policy;
mod tls;

use std::{fmt::Display, time::Duration};

use tokio::time::sleep;

pub(super) use self::{
    policy::PolicyReloader,
    tls::{ClientCaReloader, TlsReloader},
};

const INTERVAL: Duration = Duration::from_millis(500);

/// Files that are read as a whole.
trait Files: Clone + Send + 'static {
    /// The contents of the files.
    type Contents: Clone + PartialEq + Send + 'static;
    /// The reason why they cannot be read.
    type Error: Display;

    /// Reads them all; this blocks.
    fn read(&self) -> Result<Self::Contents, Self::Error>;
}

/// The result of reading the files: their contents, or why they cannot be read.
type Look<C> = Result<C, String>;

/// Files, and what was made of them so far.
struct Watched<F: Files> {
    files: F,
    seen: Seen<F::Contents>,
}

impl<F: Files> Watched<F> {
    /// From files that were read once already.
    fn new(files: F, contents: F::Contents) -> Self {
        Self { files, seen: Seen { judged: Ok(contents), candidate: None } }
    }

    /// Looks once more, after a while. Gives what there is now where that is a change which lasts.
    async fn look(&mut self) -> Option<Look<F::Contents>> {
        sleep(INTERVAL).await;
        let files = self.files.clone();
        // A file system that hangs must not keep a worker from serving.
        let look = tokio::task::spawn_blocking(move || files.read().map_err(|error| error.to_string()));
        self.seen.change(look.await.ok()?)
    }
}

/// The states that were read of some files. Each state of theirs is judged once, however long it stays.
struct Seen<C> {
    /// The state that was last given out.
    judged: Look<C>,
    /// The next state, read once so far.
    candidate: Option<Look<C>>,
}

impl<C: Clone + PartialEq> Seen<C> {
    /// The look, where it is a change that was seen twice in a row.
    fn change(&mut self, look: Look<C>) -> Option<Look<C>> {
        if look == self.judged {
            self.candidate = None;
            return None;
        }
        if self.candidate.as_ref() != Some(&look) {
            self.candidate = Some(look);
            return None;
        }
        self.candidate = None;
        self.judged.clone_from(&look);
        Some(look)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The looks that count, each with its position.
    fn counted(looks: &[Look<&'static str>]) -> Vec<(usize, Look<&'static str>)> {
        let mut seen = Seen { judged: Ok("a"), candidate: None };
        let counted = |(at, look): (usize, &Look<&'static str>)| Some((at, seen.change(look.clone())?));
        looks.iter().enumerate().filter_map(counted).collect()
    }

    fn gone() -> Look<&'static str> {
        Err("gone".to_owned())
    }

    #[test]
    fn counts_a_change_once_and_only_when_it_lasts() {
        assert_eq!(counted(&[Ok("a"), Ok("a"), Ok("a")]), [], "the same again");
        assert_eq!(counted(&[Ok("b"), Ok("b"), Ok("b"), Ok("b")]), [(1, Ok("b"))], "a change that stays");
        assert_eq!(counted(&[Ok("b"), Ok("a"), Ok("b"), Ok("a")]), [], "changes that pass");
        assert_eq!(counted(&[Ok("half"), Ok("b"), Ok("b")]), [(2, Ok("b"))], "the middle of a write");
        assert_eq!(counted(&[Ok("1"), Ok("2"), Ok("3"), Ok("3")]), [(3, Ok("3"))], "a file that grows");
    }

    #[test]
    fn counts_the_way_back_as_a_change() {
        let looks = [Ok("b"), Ok("b"), Ok("a"), Ok("a")];
        assert_eq!(counted(&looks), [(1, Ok("b")), (3, Ok("a"))]);
        // By way of another, which does not count.
        let looks = [Ok("b"), Ok("b"), Ok("a"), Ok("c"), Ok("a"), Ok("a")];
        assert_eq!(counted(&looks), [(1, Ok("b")), (5, Ok("a"))]);
    }

    #[test]
    fn counts_files_that_are_gone_once_and_their_return() {
        let looks = [gone(), gone(), gone(), Ok("a"), Ok("a"), Ok("a")];
        assert_eq!(counted(&looks), [(1, gone()), (4, Ok("a"))]);
        assert_eq!(counted(&[gone(), Ok("a"), gone(), Ok("a")]), [], "gone for a moment only");
        // Another reason is another state.
        let denied = || Err("denied".to_owned());
        assert_eq!(counted(&[gone(), gone(), denied(), denied()]), [(1, gone()), (3, denied())]);
    }
}
