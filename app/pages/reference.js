// The REST endpoints, to read and to try: Swagger UI over the description that this very server gives.
import 'swagger-ui-dist/swagger-ui.css';
import SwaggerUI from 'swagger-ui-dist/swagger-ui-es-bundle.js';

// Swagger UI has its dark look behind a class; the system decides.
const dark = matchMedia('(prefers-color-scheme: dark)');
const follow = () => document.documentElement.classList.toggle('dark-mode', dark.matches);
dark.addEventListener('change', follow);
follow();

const { description } = JSON.parse(document.getElementById('settings').textContent);

SwaggerUI({
  url: description,
  domNode: document.getElementById('reference'),
  validatorUrl: null, // the badge would send our description to somebody else's server
  deepLinking: true,
  persistAuthorization: false, // no token is ever written to disk
});
