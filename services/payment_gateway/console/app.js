/** The console of payment_gateway: the requests it got, the webhooks it sent, and the faults that are on. */

import { loadConfig } from "/console/kit/api.js";
import { startShell } from "/console/kit/shell.js";
import { Live } from "/console/kit/stream.js";
import { here } from "/console/kit/router.js";
import { startBanners } from "./banners.js";
import { chaosView } from "./chaos.js";
import { chargesView } from "./charges.js";
import { clockView } from "./clock.js";
import { deliveriesView } from "./deliveries.js";
import { endpointsView } from "./endpoints.js";
import { find } from "./find.js";
import { followClock } from "./gateway_time.js";
import { referenceView } from "./references.js";
import { requestsView } from "./requests.js";
import { signatureView } from "./signature.js";

const config = await loadConfig();
const live = new Live("/v1/stream");
const around = { config, live };

// In production the views that only a test provider has are missing, and not just empty.
const forTests = config.testEndpoints;
const routes = [
  forTests && config.development && ["Requests", "/requests", requestsView],
  ["Deliveries", "/deliveries", deliveriesView],
  ["Charges", "/charges", chargesView],
  ["Endpoints", "/endpoints", endpointsView],
  forTests && ["Signature", "/signature", signatureView],
  forTests && ["Chaos", "/chaos", chaosView],
  forTests && ["Clock", "/clock", clockView],
].filter(Boolean);

const { banners } = startShell({
  config,
  live,
  name: "Gateway console",
  views: routes.map(([name, path]) => [`#${path}`, name]),
  routes: [
    ...routes.map(([, pattern, view]) => ({ pattern, show: (outlet, place) => view(outlet, place, around) })),
    { pattern: "/references/:reference", show: (outlet, place) => referenceView(outlet, place, around) },
  ],
  search: {
    label: "Search by reference or by an id",
    placeholder: "Reference, ch_…, evt_…",
    submit: find,
    get: () => here().query.get("q") ?? "",
  },
  other: config.orderConsoleUrl ? ["Orders", config.orderConsoleUrl] : null,
});
if (forTests) {
  followClock(live);
  startBanners(banners, live);
}
