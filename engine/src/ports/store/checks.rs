//! What a store refuses before it looks at a row: commits that no row could ever satisfy.

use super::{BranchKey, Change, Commit, Error};

impl Commit {
    /// Refuses what no commit may ask for. To be called before it meets other batches, so that they do not fail
    /// with it.
    pub fn check(&self) -> Result<(), Error> {
        let key = &self.key;
        match &self.change {
            Change::Fork { children, window } => {
                let named = (0..).zip(children).all(|(index, child)| {
                    child.branch == key.branch.child(self.fence.seq + 1, index) && child.history.events == 0
                });
                if children.is_empty() || *window == 0 || !named {
                    return Err(Error::corrupt(format_args!("the fork of '{}' is malformed", key.branch)));
                }
            }
            Change::EndBranch { .. } if key.branch.is_root() => {
                return Err(Error::corrupt("the root does not end as a branch"));
            }
            Change::Finish(_) if !key.branch.is_root() => {
                return Err(Error::corrupt(format_args!("the execution does not end with '{}'", key.branch)));
            }
            Change::EndBranch { .. } | Change::Finish(_) | Change::Move(_) => {}
        }
        Ok(())
    }

    /// Refuses what [`OnFailed`](super::OnFailed) may not decide about the fork of this parent.
    pub fn check_answers_failed_fork(&self, parent: &BranchKey) -> Result<(), Error> {
        let answers = matches!(self.change, Change::Move(_) | Change::EndBranch { .. } | Change::Finish(_));
        if self.key == *parent && answers {
            return Ok(());
        }
        let branch = &parent.branch;
        Err(Error::corrupt(format_args!("the failed fork of '{branch}' is answered by another commit")))
    }
}
