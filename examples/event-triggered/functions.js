// The post office, in JavaScript.

import { serve } from "../kit/functions.js";

// Twice for the same order is one parcel: it is named after it.
async function ship({ order, item }) {
  return { parcel: `parcel-${order}`, item };
}

await serve({ ship });
