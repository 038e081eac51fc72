// Floods a broker with mqtt.js: node flood.mjs FOLDER_OF_NODE_MODULES OPTIONS_AS_JSON
import { createRequire } from 'node:module';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';

const [folder, text] = process.argv.slice(2);
const mqtt = createRequire(`${resolve(folder)}/`)('mqtt');
const { url, authority, user, password, topic, payload, count, qos, retain } = JSON.parse(text);
const client = await mqtt.connectAsync(url, {
  protocolVersion: 5,
  clientId: user,
  username: user,
  password,
  ca: readFileSync(authority),
});
let denied = 0;
const publish = (number) =>
  client
    .publishAsync(topic.replace('{}', number), payload, { qos, retain })
    .catch(() => { denied += 1; }); // the broker's reason: not authorised
await Promise.all(Array.from({ length: count }, (_, number) => publish(number)));
await client.endAsync();
console.log(denied);
