import { defineConfig } from 'vite';

// Relative addresses and fixed names: the page works under any path, and a new build is a readable change in git.
export default defineConfig({
  base: './',
  publicDir: false,
  build: {
    outDir: '../dashboards/console/page',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    rollupOptions: {
      output: {
        entryFileNames: 'assets/console.js',
        chunkFileNames: 'assets/[name].js',
        assetFileNames: 'assets/[name][extname]',
      },
    },
  },
  worker: {
    format: 'es',
    rollupOptions: { output: { entryFileNames: 'assets/connection.js' } },
  },
});
