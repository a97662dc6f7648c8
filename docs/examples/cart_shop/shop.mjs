// A shop in Node without a dependency: carts come in, and leave through one warehouse. Its API is its own, not Peakproof's.
// What it must know stands in the environment: PEAKPROOF_PUBLIC_URL is where it is to listen, PEAKPROOF_ERP_URL and
// PEAKPROOF_ERP_CREDENTIAL (and so on) where partners are and what lets it in. All is kept in memory: it is an example.
import { createHmac, createHash } from "node:crypto";
import { createServer } from "node:http";

const env = process.env;
const url = {}, credential = {};
for (const name of ["ERP", "WMS_EAST", "CARRIER"]) {
  url[name] = env[`PEAKPROOF_${name}_URL`];
  credential[name] = env[`PEAKPROOF_${name}_CREDENTIAL`];
}
const secret = env.PEAKPROOF_WMS_EAST_WEBHOOK_SECRET;
const speed = Number(env.PEAKPROOF_SPEED ?? 1);
const businessNow = () =>
  new Date((Number(env.PEAKPROOF_BUSINESS_US) + (Date.now() * 1000 - Number(env.PEAKPROOF_BUSINESS_AT_US)) * speed) / 1000).toISOString();

const carts = new Map(), byKey = new Map(), byReference = new Map(), stock = new Map(), seen = new Set();
let customers, items, prices, taxes, asOf, token, tokenEnds = 0;

// ---- partners

async function erpToken() {
  if (Date.now() < tokenEnds) return token;
  const body = { grant_type: "client_credentials", client_id: "integration", client_secret: credential.ERP };
  const answer = await fetch(`${url.ERP}/oauth/token`, { method: "POST", body: JSON.stringify(body), headers: { "Content-Type": "application/json" } });
  const told = await answer.json();
  token = told.access_token;
  tokenEnds = Date.now() + told.expires_in * 900;
  return token;
}

async function call(partner, method, path, body, key, trace) {
  const headers = { Authorization: `Bearer ${partner === "ERP" ? await erpToken() : credential[partner]}` };
  if (body) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  if (trace) headers.traceparent = trace;
  const answer = await fetch(url[partner] + path, { method, headers, body: body && JSON.stringify(body), signal: AbortSignal.timeout(20_000) });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

// Under the same key until it is done: a call whose answer was lost may have been done.
async function insist(...asked) {
  for (let pause = 1_000; ; pause = Math.min(pause * 2, 60_000)) {
    try {
      return await call(...asked);
    } catch (error) {
      console.error(String(error));
      await new Promise((wake) => setTimeout(wake, pause));
    }
  }
}

async function all(partner, path) {
  const rows = [];
  for (let page = 1; page; ) {
    const answer = await insist(partner, "GET", `${path}?page=${page}`);
    rows.push(...answer.items);
    asOf = answer.as_of_sequence ?? asOf;
    page = answer.next_page;
  }
  return rows;
}

// ---- a cart's way

const names = (cart) => ({ customer_id: cart.customer_id, order_reference: cart.order_reference });
const told = (cart) => ({ cart: cart.id, state: cart.state, version: cart.version, rows: cart.rows });

function place(key, asked, trace) {
  const print = createHash("sha256").update(JSON.stringify(asked)).digest("hex");
  if (byKey.has(key)) {
    const kept = byKey.get(key);
    return kept.print === print ? [200, { ...kept.answer, again: true }] : [422, { error: "other-cart-under-this-key" }];
  }
  const reference = `${asked.customer_id} ${asked.order_reference}`;
  if (byReference.has(reference)) return [409, { error: "known-cart", cart: byReference.get(reference) }];
  const customer = customers.get(asked.customer_id);
  if (!customer) return [422, { error: "who-are-you" }];
  const rows = [];
  for (const line of asked.lines) {
    const item = items.get(line.sku), price = prices.get(`${customer.price_list} ${line.sku}`);
    if (!item || price === undefined) return [422, { error: "unknown-article" }];
    if ((line.unit_price_minor ?? price) !== price) return [422, { error: "other-price" }];
    const pieces = line.quantity * item.units.find((unit) => unit.unit === line.unit).factor;
    rows.push({ row: line.line_no, article: line.sku, ordered: pieces, promised: pieces, shipped: 0, short: 0, price,
      tax: taxes.get(`${customer.tax_jurisdiction} ${item.tax_category}`) });
  }
  const wanted = new Map();
  for (const row of rows) wanted.set(row.article, (wanted.get(row.article) ?? 0) + row.ordered);
  for (const [article, pieces] of wanted) if ((stock.get(article) ?? 0) < pieces) return [409, { error: "sold-out", article }];
  for (const [article, pieces] of wanted) stock.set(article, stock.get(article) - pieces);
  const id = `cart-${createHash("sha256").update(key).digest("hex").slice(0, 20)}x`;
  const cart = { ...asked, id, trace, rows, state: "taken", version: 1, at: businessNow(), parcels: new Map() };
  carts.set(id, cart);
  byReference.set(reference, id);
  byKey.set(key, { print, answer: told(structuredClone({ ...cart, parcels: undefined })) });
  book(cart);
  return [201, told(cart)];
}

function advance(cart, state) {
  cart.state = state;
  cart.version += 1;
}

async function book(cart) {
  let net = 0, tax = 0;
  for (const row of cart.rows) {
    net += row.ordered * row.price;
    tax += Math.floor((row.ordered * row.price * row.tax + 5_000) / 10_000);
  }
  const lines = cart.rows.map((row) => ({ line_no: row.row, sku: row.article, quantity: row.ordered, confirmed: row.ordered,
    backordered: 0, unit_price_minor: row.price, tax_rate_bp: row.tax }));
  const order = { order_id: cart.id, ...names(cart), currency: cart.currency, ordered_at: cart.at, lines,
    total_minor: net + tax, tax_minor: tax };
  cart.erp = (await insist("ERP", "POST", "/sales-orders", order, cart.id, cart.trace)).erp_order_id;
  advance(cart, "booked");
  const release = { release_id: `${cart.id}.1`, ...names(cart), service: cart.service, ship_to: cart.ship_to,
    lines: cart.rows.map((row) => ({ line_no: row.row, sku: row.article, quantity: row.ordered })) };
  await insist("WMS_EAST", "POST", "/releases", release, release.release_id, cart.trace);
  if (cart.state === "booked") advance(cart, "packing");
}

function picked(cart, data) {
  for (const line of data.lines) {
    const row = cart.rows.find((row) => row.row === line.line_no);
    row.promised -= line.short;
    row.short += line.short;
    stock.set(line.sku, stock.get(line.sku) + line.short); // it was promised, and is not there: the warehouse's own event says so
  }
  if (cart.rows.every((row) => row.promised === 0)) advance(cart, "closed");
}

async function packed(cart, data) {
  const parcels = [];
  for (const parcel of data.parcels) {
    const asked = { label_reference: parcel.parcel_id, shipment_reference: data.release_id, ...names(cart), service: cart.service,
      ship_to: cart.ship_to, weight_g: parcel.weight_g, lines: parcel.lines };
    const label = await insist("CARRIER", "POST", "/labels", asked, parcel.parcel_id, cart.trace);
    parcels.push({ parcel_id: parcel.parcel_id, tracking_number: label.tracking_number });
  }
  await insist("WMS_EAST", "POST", `/releases/${data.release_id}/labels`, { ...names(cart), parcels }, `labels-${data.release_id}`, cart.trace);
}

async function shipped(cart, data) {
  for (const line of data.lines) {
    const row = cart.rows.find((row) => row.row === line.line_no);
    row.shipped += line.quantity;
    row.promised -= line.quantity;
  }
  advance(cart, "shipped");
  const shipment = { shipment_id: data.shipment_id, erp_order_id: cart.erp, ...names(cart) };
  const tracking = data.parcels.map((parcel) => parcel.tracking_number);
  await insist("ERP", "POST", "/shipments", { ...shipment, node: "wms-east", shipped_at: data.shipped_at, tracking_numbers: tracking, lines: data.lines }, `shipment-${data.shipment_id}`, cart.trace);
  await insist("ERP", "POST", "/invoices", shipment, `invoice-${data.shipment_id}`, cart.trace);
  advance(cart, "done");
}

function receive(headers, body) {
  const id = headers["webhook-id"];
  const right = "v1," + createHmac("sha256", secret).update(`${id}.${headers["webhook-timestamp"]}.${body}`).digest("base64");
  if (!(headers["webhook-signature"] ?? "").split(" ").includes(right)) return [401, { error: "bad-signature" }];
  if (seen.has(id)) return [204];
  seen.add(id);
  const event = JSON.parse(body), data = event.data;
  if (data.stock && data.stock.sequence > asOf) {
    for (const delta of data.stock.deltas) {
      // What is shipped was promised before: it leaves the shelf, and not what is free to promise.
      const gone = event.type === "release.shipped" ? 0 : delta.on_hand_delta - delta.held_delta;
      stock.set(delta.sku, (stock.get(delta.sku) ?? 0) + gone);
    }
  }
  const effect = { "release.picked": picked, "release.packed": packed, "release.shipped": shipped }[event.type];
  const cart = carts.get(byReference.get(`${data.customer_id} ${data.order_reference}`));
  if (effect && cart) effect(cart, data);
  return [204];
}

// ---- HTTP

function route(method, path, headers, body) {
  if (method === "POST" && path === "/hooks") return receive(headers, body);
  if (method === "POST" && path === "/carts") return place(headers["x-request-id"], JSON.parse(body), headers.traceparent);
  const [, kind, id, reference] = path.split("/").map(decodeURIComponent);
  if (kind === "carts" && carts.has(id)) return [200, told(carts.get(id))];
  if (kind === "known") return byReference.has(`${id} ${reference}`) ? [200, { cart: byReference.get(`${id} ${reference}`) }] : [404, { error: "unknown" }];
  return [404, { error: "unknown" }];
}

createServer((request, response) => {
  const chunks = [];
  request.on("data", (chunk) => chunks.push(chunk));
  request.on("end", () => {
    const [status, answer] = customers ? route(request.method, request.url, request.headers, Buffer.concat(chunks).toString()) : [503, { error: "not yet" }];
    response.writeHead(status, { "Content-Type": "application/json" });
    response.end(answer && JSON.stringify(answer));
  });
}).listen(Number(new URL(env.PEAKPROOF_PUBLIC_URL).port), "127.0.0.1", begin);

async function begin() {
  const subscription = { url: `${env.PEAKPROOF_PUBLIC_URL}/hooks`, secret, types: ["release.picked", "release.packed", "release.shipped", "inventory.changed"] };
  await insist("WMS_EAST", "POST", "/subscriptions", subscription);
  items = new Map((await all("ERP", "/items")).map((row) => [row.sku, row]));
  prices = new Map((await all("ERP", "/price-lists")).filter((row) => row.valid_to === null).map((row) => [`${row.price_list} ${row.sku}`, row.unit_price_minor]));
  taxes = new Map((await all("ERP", "/tax-rates")).map((row) => [`${row.jurisdiction} ${row.tax_category}`, row.rate_bp]));
  for (const row of await all("WMS_EAST", "/stock")) stock.set(row.sku, row.on_hand - row.held);
  customers = new Map((await all("ERP", "/customers")).map((row) => [row.customer_id, row]));
}
