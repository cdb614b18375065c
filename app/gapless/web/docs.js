// Swagger UI over openapi.json; a plain list where this installation does not hold it (pip install 'gapless[docs]').
const dark = matchMedia("(prefers-color-scheme: dark)");
const follow = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
follow();
dark.addEventListener("change", follow);

const spec = await (await fetch("openapi.json")).json();
// Requests go where this page came from, also below a path that the service knows nothing of.
spec.servers = [{ url: new URL(".", location).href.replace(/\/$/, "") }];
if (window.SwaggerUIBundle) {
  SwaggerUIBundle({ spec, dom_id: "#docs", deepLinking: true, validatorUrl: null });
} else {
  document.getElementById("docs").append(list(spec.paths));
}

function list(paths) {
  const rows = document.createElement("dl");
  for (const [path, methods] of Object.entries(paths)) {
    for (const [method, { summary }] of Object.entries(methods)) {
      const [name, words] = [document.createElement("dt"), document.createElement("dd")];
      name.textContent = `${method.toUpperCase()} ${path}`;
      words.textContent = summary;
      rows.append(name, words);
    }
  }
  return rows;
}
