//! How a server at a URL is reached: over the plugin's own egress, in the era it is known to speak.

use futures::FutureExt as _;
use futures::future::BoxFuture;
use rmcp::RoleClient;
use rmcp::model::ProtocolVersion;
use rmcp::service::{ClientLifecycleMode, RunningService};

use bailiwick_core::outcome::Failure;

use crate::bridge::{Dialer, Era, Hear};
use crate::remote::{Site, either_era};

/// A server at a URL.
pub(super) struct Dialled(pub(super) Site);

impl Dialer for Dialled {
    fn connect(
        &self,
        hear: Hear,
        known: Option<Era>,
    ) -> BoxFuture<'_, Result<RunningService<RoleClient, Hear>, Failure>> {
        let mode = match known {
            None => either_era(),
            Some(Era::Legacy) => ClientLifecycleMode::Initialize,
            Some(Era::Modern) => {
                ClientLifecycleMode::Discover { preferred_versions: vec![ProtocolVersion::V_2026_07_28] }
            }
        };
        let way = hear.over(self.0.transport());
        self.0.connect_over(hear, way, mode).boxed()
    }
}
