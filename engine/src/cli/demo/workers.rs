//! The six workers of the shop. Each takes the tasks of one activity; those for items do three at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::cli::client::{CallError, Client};

/// What a worker does, and how many of it at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Trade {
    ValidatePayment,
    CheckAvailability,
    PrepareItem,
    StartDelivery,
    SendSummary,
    NotifyCustomer,
}

const TRADES: [Trade; 6] = [
    Trade::ValidatePayment,
    Trade::CheckAvailability,
    Trade::PrepareItem,
    Trade::StartDelivery,
    Trade::SendSummary,
    Trade::NotifyCustomer,
];

/// The activities of one demo, under names of its own: another demo on the same server has other ones.
pub(super) struct Workshop {
    /// The ARN in the definition as it is written, and the one on this server.
    activities: Vec<(&'static str, String)>,
}

impl Workshop {
    /// Creates the activities and sets the workers to work.
    pub(super) async fn open(
        client: &Client,
        suffix: &str,
        workers: &mut JoinSet<()>,
    ) -> Result<Self, CallError> {
        let busy_once = Arc::new(AtomicBool::new(false));
        let mut activities = Vec::new();
        for trade in TRADES {
            let name = format!("{}-{suffix}", trade.activity());
            let created = client.call("CreateActivity", json!({ "name": name })).await?;
            let arn = created["activityArn"].as_str().unwrap_or_default().to_owned();
            for _ in 0..trade.hands() {
                let worker =
                    Worker { trade, arn: arn.clone(), client: client.clone(), busy_once: busy_once.clone() };
                workers.spawn(worker.work());
            }
            activities.push((trade.activity(), arn));
        }
        Ok(Workshop { activities })
    }

    /// The definition with this server's ARNs in the place of those it is written with.
    pub(super) fn definition(&self, written: &str) -> String {
        self.activities.iter().fold(written.to_owned(), |text, (name, arn)| {
            text.replace(&format!("arn:aws:states:us-east-1:000000000000:activity:{name}"), arn)
        })
    }

    /// Takes the activities away again. What cannot be taken away does no harm.
    pub(super) async fn close(self, client: &Client) {
        for (_, arn) in self.activities {
            let _ = client.call("DeleteActivity", json!({ "activityArn": arn })).await;
        }
    }
}

struct Worker {
    trade: Trade,
    arn: String,
    client: Client,
    /// Whether the stock service has been busy.
    busy_once: Arc<AtomicBool>,
}

impl Worker {
    /// Takes tasks for ever. A call that fails is made again: the demo's own call tells what is wrong.
    async fn work(self) {
        loop {
            let request = json!({ "activityArn": self.arn, "workerName": self.trade.activity() });
            let Ok(answer) = self.client.call("GetActivityTask", request).await else {
                sleep(Duration::from_millis(200)).await;
                continue;
            };
            let Some(token) = answer["taskToken"].as_str().filter(|token| !token.is_empty()) else {
                continue;
            };
            let input = answer["input"].as_str().and_then(|text| serde_json::from_str(text).ok());
            let input = input.unwrap_or(Value::Null);
            sleep(self.trade.takes(&input)).await;
            let result = self.result(&input);
            let _ = match result {
                Ok(output) => {
                    let request = json!({ "taskToken": token, "output": output.to_string() });
                    self.client.call("SendTaskSuccess", request).await
                }
                Err((error, cause)) => {
                    let request = json!({ "taskToken": token, "error": error, "cause": cause });
                    self.client.call("SendTaskFailure", request).await
                }
            };
        }
    }

    fn result(&self, input: &Value) -> Result<Value, (&'static str, &'static str)> {
        match self.trade {
            Trade::ValidatePayment if input["paymentMethod"].as_str().is_none_or(str::is_empty) => {
                Err(("PaymentDeclined", "the order has no payment method"))
            }
            Trade::ValidatePayment => Ok(json!({ "approved": true, "method": input["paymentMethod"] })),
            // On purpose, so that a retry can be watched.
            Trade::CheckAvailability if !self.busy_once.swap(true, Ordering::Relaxed) => {
                Err(("StockServiceBusy", "the stock service asks to come back later"))
            }
            Trade::CheckAvailability => {
                Ok(json!({ "available": true, "quantity": input["item"]["quantity"] }))
            }
            Trade::PrepareItem => {
                Ok(json!({ "parcel": format!("P-{}-{}", plain(&input["orderId"]), input["number"]) }))
            }
            Trade::StartDelivery => Ok(json!({
                "productName": input["item"]["productName"],
                "parcel": input["parcel"]["parcel"],
                "to": input["address"],
                "speed": input["speed"],
            })),
            Trade::SendSummary => Ok(json!({
                "orderId": input["orderId"],
                "message": format!("{}, your order is on its way.", plain(&input["customer"])),
                "deliveries": input["deliveries"],
            })),
            Trade::NotifyCustomer => Ok(json!({ "notified": input["customer"] })),
        }
    }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

impl Trade {
    fn activity(self) -> &'static str {
        match self {
            Trade::ValidatePayment => "order-validate-payment",
            Trade::CheckAvailability => "order-check-availability",
            Trade::PrepareItem => "order-prepare-item",
            Trade::StartDelivery => "order-start-delivery",
            Trade::SendSummary => "order-send-summary",
            Trade::NotifyCustomer => "order-notify-customer",
        }
    }

    /// How many tasks at a time.
    fn hands(self) -> usize {
        match self {
            Trade::CheckAvailability | Trade::PrepareItem | Trade::StartDelivery => 3,
            Trade::ValidatePayment | Trade::SendSummary | Trade::NotifyCustomer => 1,
        }
    }

    /// How long a task takes: as long as is good to watch, and not the same for every item.
    fn takes(self, input: &Value) -> Duration {
        let more = input["number"].as_u64().unwrap_or(0) * 150;
        Duration::from_millis(350 + more)
    }
}
