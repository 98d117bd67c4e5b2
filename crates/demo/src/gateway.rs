//! The gateway of one who takes part: how its configuration begins, and how it comes up.

use std::net::SocketAddr;

use countersign::crypto::SystemRandom;
use countersign_gateway::config::load;
use countersign_gateway::run::Bound;
use countersign_io::secret_file::make_seal_key;

use crate::cast::Casting;
use crate::certificates;
use crate::failure::Failure;

/// How the configuration of a gateway begins: where it listens, what it is called, what it keeps beside it.
pub(crate) fn configuration_of(demonstration: &str, listen: SocketAddr, public_url: &str) -> String {
    format!(
        "# Written by `countersign demo {demonstration}`, anew at each start.\n\
         [server]\n\
         listen = \"{listen}\"\n\
         public_url = \"{public_url}\"\n\
         management_socket = \"management.sock\"\n\
         drain_timeout = \"1s\"\n\
         \n[store]\n\
         url = \"redb:store.redb\"\n\
         seal_key_file = \"seal.key\"\n"
    )
}

/// Writes the configuration into the folder, and binds what it names.
pub(crate) async fn gateway(casting: &Casting, configuration: &str) -> Result<Bound, Failure> {
    let file = casting.folder.join("countersign.toml");
    certificates::write(&file, configuration)?;
    // With a Redis store nobody else makes it.
    make_seal_key(&casting.folder.join("seal.key"), &SystemRandom)?;
    let loaded = load(&file, &casting.settings)?;
    Ok(Bound::new(&file, loaded, casting.settings.clone(), false).await?)
}
