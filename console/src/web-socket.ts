// Addresses of WebSockets.

/** The subprotocol of the stream of a run (dashboards/console/stream.py). */
export const SUBPROTOCOL = 'gridfleet-page';

/** The URL of a WebSocket, given as such or relative to the page. */
export function webSocketUrl(path: string): string {
  const address = new URL(path, location.href);
  address.protocol = address.protocol.replace('http', 'ws');
  return address.href;
}
