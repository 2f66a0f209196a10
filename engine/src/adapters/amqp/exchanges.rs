//! Exchanges and what is bound to them.
//!
//! A message to an exchange that does not exist would end the channel, and leave all in doubt that is on its
//! way there. So it is looked up before, and what was found is believed for a while.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lapin::options::{ExchangeBindOptions, ExchangeDeclareOptions, QueueBindOptions};
use lapin::protocol::AMQPSoftError;
use lapin::types::FieldTable;
use lapin::{Channel, ExchangeKind};
use tokio::time::Instant;

use super::envelope::Names;
use super::topology::{refused, soft_error, unavailable};
use crate::ports::broker::{Error, Exchange, Queue};

/// An exchange that was there is taken to be there for so long.
const TRUSTED: Duration = Duration::from_secs(5);
/// Exchanges that are remembered.
const REMEMBERED_MAX: usize = 10_000;

/// When exchanges were last seen.
#[derive(Debug, Default)]
pub(super) struct Exchanges {
    seen: Mutex<HashMap<Exchange, Instant>>,
}

impl Exchanges {
    pub(super) fn is_trusted(&self, exchange: &Exchange) -> bool {
        let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        // Our own are declared with every connection.
        exchange.is_ours() || seen.get(exchange).is_some_and(|at| at.elapsed() < TRUSTED)
    }

    pub(super) fn saw(&self, exchange: &Exchange) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.len() >= REMEMBERED_MAX {
            seen.retain(|_, at| at.elapsed() < TRUSTED);
        }
        seen.insert(exchange.clone(), Instant::now());
    }
}

/// Our own exchanges; the bus gets the status changes of executions too.
pub(super) async fn declare_ours(channel: &Channel, names: &Names) -> Result<(), Error> {
    for exchange in [Exchange::events(), Exchange::triggers(), Exchange::transitions()] {
        declare(channel, names, &exchange).await?;
    }
    join(channel, names, &Exchange::events(), &Exchange::triggers()).await
}

pub(super) async fn declare(channel: &Channel, names: &Names, exchange: &Exchange) -> Result<(), Error> {
    let name = names.exchange(exchange);
    let durable = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
    let kind = ExchangeKind::Topic;
    let declared = channel.exchange_declare(name.as_str().into(), kind, durable, FieldTable::default()).await;
    declared.map_err(|error| refused(&name, &error))
}

/// Whether it is there, whatever its kind. The broker closes the channel if it is not.
pub(super) async fn exists(channel: &Channel, names: &Names, exchange: &Exchange) -> Result<bool, Error> {
    let passive = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
    let name = names.exchange(exchange);
    let kind = ExchangeKind::Topic;
    match channel.exchange_declare(name.into(), kind, passive, FieldTable::default()).await {
        Ok(()) => Ok(true),
        Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => Ok(false),
        Err(error) => Err(unavailable(error)),
    }
}

pub(super) async fn bind(
    channel: &Channel,
    names: &Names,
    queue: &Queue,
    exchange: &Exchange,
    pattern: &str,
) -> Result<(), Error> {
    let (name, exchange) = (names.of(queue), names.exchange(exchange));
    let options = QueueBindOptions::default();
    let bound = channel
        .queue_bind(name.into(), exchange.as_str().into(), pattern.into(), options, FieldTable::default())
        .await;
    bound.map_err(|error| missing(&exchange, error))
}

pub(super) async fn unbind(
    channel: &Channel,
    names: &Names,
    queue: &Queue,
    exchange: &Exchange,
    pattern: &str,
) -> Result<(), Error> {
    let (name, exchange) = (names.of(queue), names.exchange(exchange));
    match channel.queue_unbind(name.into(), exchange.into(), pattern.into(), FieldTable::default()).await {
        Ok(()) => Ok(()),
        Err(error) if soft_error(&error) == Some(AMQPSoftError::NOTFOUND) => Ok(()),
        Err(error) => Err(unavailable(error)),
    }
}

pub(super) async fn join(
    channel: &Channel,
    names: &Names,
    from: &Exchange,
    to: &Exchange,
) -> Result<(), Error> {
    let (from, to) = (names.exchange(from), names.exchange(to));
    let options = ExchangeBindOptions::default();
    let joined = channel
        .exchange_bind(to.into(), from.as_str().into(), "#".into(), options, FieldTable::default())
        .await;
    joined.map_err(|error| missing(&from, error))
}

fn missing(exchange: &str, error: lapin::Error) -> Error {
    match soft_error(&error) {
        Some(AMQPSoftError::NOTFOUND) => {
            Error::Unavailable(format!("there is no exchange '{exchange}', or no such queue"))
        }
        _ => unavailable(error),
    }
}
