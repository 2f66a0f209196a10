//! The core, for those of its parts that ask it for something: connectors are made before it.

use std::sync::{Arc, OnceLock, Weak};

use crate::services::Core;

/// What a cause says once the core is gone.
pub const STOPPING: &str = "The engine is stopping";

/// A core that is told later.
#[derive(Default)]
pub struct LateCore {
    core: OnceLock<Weak<Core>>,
}

impl LateCore {
    /// Tells which core it is.
    pub fn attach(&self, core: &Arc<Core>) {
        // A second core would be a mistake of the composition; the first one stays.
        let _ = self.core.set(Arc::downgrade(core));
    }

    /// The core, unless it is gone.
    pub fn get(&self) -> Option<Arc<Core>> {
        self.core.get().and_then(Weak::upgrade)
    }
}
