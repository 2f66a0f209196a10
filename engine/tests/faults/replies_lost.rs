//! What was asked was done, and the answer is lost: a COMMIT, a confirm, an acknowledgement, at any byte.

use std::time::Duration;

use super::load::Chains;
use super::mixture::Mixture;
use super::world::{World, sized};
use crate::support::engine::Setting;
use crate::support::lottery::Lottery;
use crate::support::proxy::{Proxy, Way};

/// A cut lies within so many bytes: some tens of transitions.
const WITHIN_BYTES: u64 = 40_000;
/// A connection that carries nothing is not cut.
const CUT_WITHIN: Duration = Duration::from_secs(1);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_answer_makes_nothing_happen_twice() {
    let mut proxies = Vec::new();
    let mut world = World::start_with("f10", 2, async |setting: Setting| {
        let (broker, broker_url) = Proxy::before(&setting.broker_url).await;
        let (store, store_url) = Proxy::before(&setting.store_url).await;
        proxies.extend([broker, store]);
        Setting { broker_url, store_url, ..setting }
    })
    .await;
    let mut mixture = Mixture::prepare(world.api.clone(), &mut world.worker).await;
    let chains = Chains::begin(&world, sized(600), 3).await;
    let wanted = sized(200);
    let cuts = mixture.during(cut(&proxies, &mut world.lottery, wanted)).await;
    eprintln!("f10: {cuts} connections cut");
    assert!(cuts > wanted / 4, "only {cuts} of {wanted} cuts met a connection at work");
    mixture.finish(&world).await;
    chains.finish(&world).await;
    world.close().await;
}

/// Cuts connections one after the other, and answers how many were at work.
async fn cut(proxies: &[Proxy], lottery: &mut Lottery, wanted: u64) -> u64 {
    let mut cuts = 0;
    for _ in 0..wanted {
        let proxy = &proxies[lottery.index(proxies.len())];
        // Answers are what is lost twice out of three times.
        let way = if lottery.below(3) == 0 { Way::Requests } else { Way::Replies };
        proxy.cut_after(way, lottery.below(WITHIN_BYTES));
        cuts += u64::from(proxy.was_cut(CUT_WITHIN).await);
    }
    cuts
}
