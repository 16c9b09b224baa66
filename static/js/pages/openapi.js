// The page of the REST API: Swagger UI over this site's own document.

import { csrfToken } from "../api.js";

const place = /** @type {HTMLElement} */ (document.getElementById("swagger"));
const { SwaggerUIBundle } = /** @type {any} */ (globalThis);

SwaggerUIBundle({
  url: place.dataset.document,
  domNode: place,
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  // Both would ask other sites.
  validatorUrl: null,
  queryConfigEnabled: false,
  requestInterceptor(/** @type {{method?: string, headers: Record<string, string>}} */ request) {
    if (request.method && request.method !== "GET") request.headers["X-CSRFToken"] = csrfToken();
    return request;
  },
});
