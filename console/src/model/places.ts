// Cities of Germany, largest first: names for the map, and for where a device is.

import { distanceKm } from './geography';

export interface City {
  name: string;
  latitude: number;
  longitude: number;
}

const CITIES = `Berlin 52.52 13.40|Hamburg 53.55 9.99|München 48.14 11.58|Köln 50.94 6.96|Frankfurt 50.11 8.68|Stuttgart 48.78 9.18
Leipzig 51.34 12.37|Dresden 51.05 13.74|Hannover 52.37 9.73|Nürnberg 49.45 11.08|Bremen 53.08 8.80|Essen 51.46 7.01
Dortmund 51.51 7.47|Münster 51.96 7.63|Karlsruhe 49.01 8.40|Mannheim 49.49 8.47|Augsburg 48.37 10.90|Kiel 54.32 10.14
Magdeburg 52.12 11.63|Freiburg 47.99 7.85|Erfurt 50.98 11.03|Rostock 54.09 12.10|Kassel 51.31 9.48|Saarbrücken 49.24 6.99
Potsdam 52.40 13.06|Würzburg 49.79 9.95|Regensburg 49.01 12.10|Ulm 48.40 9.99|Bielefeld 52.02 8.53|Braunschweig 52.27 10.52
Aachen 50.78 6.08|Chemnitz 50.83 12.92|Lübeck 53.87 10.69|Oldenburg 53.14 8.21|Osnabrück 52.28 8.05|Göttingen 51.54 9.93
Trier 49.76 6.64|Koblenz 50.36 7.59|Fulda 50.55 9.68|Bayreuth 49.95 11.58|Passau 48.57 13.43|Konstanz 47.66 9.18
Cottbus 51.76 14.33|Schwerin 53.63 11.41|Flensburg 54.78 9.43|Neubrandenburg 53.56 13.26|Stralsund 54.31 13.09|Emden 53.37 7.21
Cuxhaven 53.86 8.69|Görlitz 51.15 14.99|Hof 50.31 11.92|Kempten 47.73 10.32|Rosenheim 47.86 12.13|Siegen 50.87 8.02
Paderborn 51.72 8.75|Heilbronn 49.14 9.22|Jena 50.93 11.59|Plauen 50.50 12.14|Landshut 48.54 12.15|Wolfsburg 52.42 10.79`;

export const PLACES: readonly City[] = CITIES.split(/[|\n]/).map((line) => {
  const [name = '', latitude, longitude] = line.split(' ');
  return { name, latitude: Number(latitude), longitude: Number(longitude) };
});
/** Farther than this from every city, a place has no name. */
const NEAR_KM = 60;

/** The nearest city, for example "near Kassel, 12 km"; empty outside Germany. */
export function placeName(latitude: number, longitude: number): string {
  let [best, least] = ['', NEAR_KM];
  for (const city of PLACES) {
    const km = distanceKm(latitude, longitude, city.latitude, city.longitude);
    if (km < least) [best, least] = [city.name, km];
  }
  if (!best) return '';
  return least < 5 ? best : `${Math.round(least)} km from ${best}`;
}
