// The API's own description, readable without anything from elsewhere: a city's network has no way to a CDN.

const document_ = await (await fetch("/openapi.json")).json();
const node = (tag, text, properties = {}) => Object.assign(document.createElement(tag), { textContent: text ?? "", ...properties });

function spoken(schema) {
  if (schema.$ref) return schema.$ref.split("/").at(-1);
  if (schema.enum) return schema.enum.join(" | ");
  if (schema.const) return JSON.stringify(schema.const);
  if (schema.anyOf) return schema.anyOf.map(spoken).join(" | ");
  if (schema.type === "array") return `[${spoken(schema.items ?? {})}]`;
  return schema.format ?? schema.type ?? "any";
}

function table(rows) {
  const body = node("table");
  for (const cells of rows) {
    const row = body.insertRow();
    for (const cell of cells) row.insertCell().append(cell);
  }
  return body;
}

function route(path, method, said) {
  const whole = node("details");
  const head = node("summary");
  head.append(node("span", method.toUpperCase(), { className: "method" }), node("code", path), node("span", ` ${said.description ?? ""}`, { className: "soft" }));
  whole.append(head);
  const parameters = (said.parameters ?? []).map((each) => [node("code", each.name), `${each.in}: ${spoken(each.schema)}`, each.schema.description ?? each.description ?? ""]);
  if (parameters.length) whole.append(table(parameters));
  const body = said.requestBody?.content?.["application/json"];
  if (body) whole.append(node("p", "Body"), node("pre", JSON.stringify(body.example, null, 1)));
  for (const [status, answer] of Object.entries(said.responses)) {
    const [kind, content] = Object.entries(answer.content ?? {})[0] ?? [];
    whole.append(node("p", `${status} ${kind ?? ""}`));
    if (content?.example !== undefined) whole.append(node("pre", JSON.stringify(content.example, null, 1)));
  }
  return whole;
}

document.getElementById("about").textContent = `${document_.info.summary} Version ${document_.info.version}.`;
const sections = new Map();
for (const [path, methods] of Object.entries(document_.paths)) {
  for (const [method, said] of Object.entries(methods)) {
    const tag = said.tags?.[0] ?? "other";
    if (!sections.has(tag)) {
      sections.set(tag, node("section"));
      sections.get(tag).append(node("h2", tag));
    }
    sections.get(tag).append(route(path, method, said));
  }
}
const problems = node("section");
problems.append(node("h2", "problems"), node("p", "Errors are RFC 9457 documents (application/problem+json); their type is one of these.", { className: "soft" }));
problems.append(table(Object.entries(document_["x-problems"]).map(([slug, said]) => [node("code", slug, { id: slug }), said])));
document.getElementById("routes").append(...sections.values(), problems);
if (location.hash) document.getElementById(location.hash.slice(1))?.scrollIntoView();
