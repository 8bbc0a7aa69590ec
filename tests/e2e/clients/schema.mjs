// The schema as the page knows it, without a gateway.
import { buildSchema, introspectionFromSchema } from "graphql";
import { readFileSync } from "node:fs";

import { indexed } from "../../../gateway/web/schema.mjs";

const sdl = readFileSync(new URL("../../../gateway/schema.graphql", import.meta.url), "utf8");
export const schema = indexed(introspectionFromSchema(buildSchema(sdl)).__schema);
