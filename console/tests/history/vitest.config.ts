import { defineConfig } from 'vitest/config';

// Run by tests/console/test_history.py, which writes the file that HISTORY names.
export default defineConfig({ test: { include: ['tests/history/*.test.ts'], environment: 'node' } });
