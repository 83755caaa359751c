import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

export default defineConfig({
  plugins: [react()],
  server: {
    proxy: {
      '/jobcast': {
        target: process.env.JOBCAST_URL ?? 'http://127.0.0.1:3300',
        ws: true,
        rewrite: (path) => path.replace('/jobcast', ''),
        headers: { 'X-Forwarded-Prefix': '/jobcast' },
      },
    },
  },
})
