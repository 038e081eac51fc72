// Starts the two slow things at once: the download of the page's code, and the connection to its server with the run's history.

import './style.css';
import './timeline.css';
import { SUBPROTOCOL, webSocketUrl } from './web-socket';

export interface Config {
  /** Absolute, or relative to this page; null where the page's controls reach no broker. */
  ws_url: string | null;
  broker: string;
  site: string;
  access: 'open' | 'login';
  /** Where the page's server has the whole run; null where the page reads from the broker alone. */
  stream: string | null;
}

/** What was begun before the page's code was here. */
export interface Early {
  config: Promise<Config>;
  /** The connection to the page's server and what it has sent; null where there is none. */
  stream: Promise<{ socket: WebSocket; messages: string[] } | null>;
}

/** The server puts the configuration into the page's head; a page that another server serves asks for it. */
async function loadConfig(): Promise<Config> {
  const stated = document.querySelector<HTMLMetaElement>('meta[name="gridfleet-config"]')?.content;
  if (stated) return JSON.parse(stated) as Config;
  const answer = await fetch('config.json', { cache: 'no-store' });
  if (!answer.ok) throw new Error(`config.json: ${answer.status}`);
  return (await answer.json()) as Config;
}

const config = loadConfig();
const stream = config.then(({ stream: path }) => {
  if (!path) return null;
  const socket = new WebSocket(webSocketUrl(path), SUBPROTOCOL);
  const messages: string[] = [];
  socket.onmessage = ({ data }: MessageEvent<string>) => messages.push(data);
  return { socket, messages };
});
stream.catch(() => undefined); // the page says so

import('./main').then(({ load }) => load({ config, stream }), (error: unknown) => {
  const banner = document.getElementById('banner')!;
  banner.hidden = false;
  banner.textContent = `The page cannot be loaded: ${String(error)}`;
});
