// The connection to the page's server, which has the whole run: its history first, then every message as it comes.

import type { FromServer, ToServer } from './model/history';

const SUBPROTOCOL = 'gridfleet-page';
const RECONNECT_MS = 1_000;

export interface StreamEvents {
  message(message: FromServer): void;
  /** The connection is open, or lost; it is tried again by itself. */
  online(online: boolean): void;
}

export class Stream {
  private socket: WebSocket | null = null;
  private open = false;

  constructor(
    private readonly url: string,
    private readonly events: StreamEvents,
  ) {
    this.connect();
  }

  send(message: ToServer): void {
    if (this.open) this.socket?.send(JSON.stringify(message));
  }

  private connect(): void {
    const socket = new WebSocket(this.url, SUBPROTOCOL);
    this.socket = socket;
    socket.onopen = () => {
      this.open = true;
      this.events.online(true);
    };
    socket.onmessage = ({ data }: MessageEvent<string>) => {
      if (socket === this.socket) this.events.message(JSON.parse(data) as FromServer);
    };
    socket.onclose = () => {
      this.open = false;
      this.events.online(false);
      setTimeout(() => this.connect(), RECONNECT_MS);
    };
  }
}
