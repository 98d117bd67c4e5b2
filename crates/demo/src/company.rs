//! Alice, Bob and Eve, as processes.

use crate::players::Player;

/// Everybody. They end with it.
pub(super) struct Company {
    pub(super) alice: Player,
    pub(super) bob: Player,
    pub(super) eve: Player,
}

impl Drop for Company {
    fn drop(&mut self) {
        // All of them are told before any of them is waited for.
        for player in [&self.alice, &self.bob, &self.eve] {
            player.dismiss();
        }
    }
}
