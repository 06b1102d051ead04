//! Every word of the report, in every language, in one table.
//!
//! A phrase is a key with one text per language; braces stand for what is filled in. Adding a language means adding a
//! column here and a variant to [`Language`]; the compiler then names every phrase that lacks it, and a test checks that
//! the braces agree. Terms follow the Fleischner glossary (Hansell et al., Radiology 2008, doi 10.1148/radiol.2462070712)
//! and its usage in the German, French and Spanish literature.

use crate::Language;

macro_rules! phrases {
    ($($(#[$doc:meta])* $key:ident: $en:literal, $de:literal, $fr:literal, $es:literal;)*) => {
        /// A phrase of the report.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Phrase { $($(#[$doc])* $key),* }

        impl Phrase {
            /// Every phrase.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$key),*];

            /// The text in a language, braces unfilled.
            pub(crate) fn text(self, language: Language) -> &'static str {
                match (self, language) {
                    $((Self::$key, Language::English) => $en,
                    (Self::$key, Language::German) => $de,
                    (Self::$key, Language::French) => $fr,
                    (Self::$key, Language::Spanish) => $es,)*
                }
            }
        }
    };
}

impl Phrase {
    /// The text with every `{name}` replaced by its value.
    pub(crate) fn fill(self, language: Language, values: &[(&str, &str)]) -> String {
        values
            .iter()
            .fold(self.text(language).to_string(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
    }
}

phrases! {
    // ---- The frame of the report.
    Title: "Chest CT: pneumonia report", "CT-Thorax: Pneumoniebericht", "Scanner thoracique : compte rendu de pneumonie", "TC de tórax: informe de neumonía";
    Disclaimer: "Research use only. Not a medical device. Computed without a physician; to be read by one.",
        "Nur für Forschungszwecke. Kein Medizinprodukt. Ohne ärztliche Mitwirkung berechnet; ärztlich zu prüfen.",
        "Réservé à la recherche. N’est pas un dispositif médical. Calculé sans médecin ; à vérifier par un médecin.",
        "Solo para investigación. No es un producto sanitario. Calculado sin intervención médica; debe revisarlo un médico.";
    DisclaimerShort: "Research use only – not a medical device", "Nur für Forschungszwecke – kein Medizinprodukt",
        "Réservé à la recherche – n’est pas un dispositif médical", "Solo para investigación – no es un producto sanitario";
    PageOf: "Page {page} of {pages}", "Seite {page} von {pages}", "Page {page} sur {pages}", "Página {page} de {pages}";
    Series: "Series", "Serie", "Série", "Serie";
    Created: "Analysed", "Ausgewertet", "Analysé le", "Analizado";
    Slices: "Slices", "Schichten", "Coupes", "Cortes";
    SliceCount: "{count} slices", "{count} Schichten", "{count} coupes", "{count} cortes";
    SliceSpacing: "Slice spacing", "Schichtabstand", "Espacement des coupes", "Separación entre cortes";
    PixelSpacing: "Pixel", "Pixel", "Pixel", "Píxel";
    Orientation: "Orientation", "Orientierung", "Orientation", "Orientación";
    ChosenBecause: "Why this series", "Warum diese Serie", "Pourquoi cette série", "Por qué esta serie";
    StudyUid: "Study UID", "Study UID", "Study UID", "Study UID";
    SeriesUid: "Series UID", "Series UID", "Series UID", "Series UID";
    SubjectId: "ID {value}", "ID {value}", "ID {value}", "ID {value}";
    SubjectBorn: "born {value}", "geb. {value}", "né(e) le {value}", "nacido/a el {value}";
    SubjectStudy: "study of {value}", "Untersuchung vom {value}", "examen du {value}", "estudio del {value}";
    SubjectAccession: "accession {value}", "Auftrag {value}", "demande {value}", "petición {value}";
    Study: "Study", "Untersuchung", "Examen", "Estudio";

    // ---- Follow-up.
    FollowUpHeading: "Follow-up", "Verlauf", "Évolution", "Evolución";
    FollowUpSince: "Compared with the study of {date}, {days} days before.", "Verglichen mit der Untersuchung vom {date}, {days} Tage zuvor.",
        "Comparé à l’examen du {date}, {days} jours auparavant.", "Comparado con el estudio del {date}, {days} días antes.";
    ImpressionChange: "Opacities {then} then, {now} now: {trend}.", "Verdichtungen damals {then}, jetzt {now}: {trend}.",
        "Opacités alors {then}, maintenant {now} : {trend}.", "Opacidades entonces {then}, ahora {now}: {trend}.";
    FollowUpUndated: "Compared with an earlier study; the interval is unknown.", "Verglichen mit einer früheren Untersuchung; der Abstand ist unbekannt.",
        "Comparé à un examen antérieur ; l’intervalle est inconnu.", "Comparado con un estudio anterior; se desconoce el intervalo.";
    FollowUpReported: "Not compared place by place with an earlier study.", "Mit keiner früheren Untersuchung Ort für Ort verglichen.",
        "Non comparé point par point à un examen antérieur.", "No comparado punto por punto con un estudio anterior.";
    FromReport: "{date}, from its report (SR)", "{date}, aus ihrem Bericht (SR)", "{date}, d’après son compte rendu (SR)", "{date}, según su informe (SR)";
    Change: "Change", "Veränderung", "Changement", "Cambio";
    EarlierStudy: "Earlier study", "Frühere Untersuchung", "Examen antérieur", "Estudio anterior";
    ThisStudy: "This study", "Diese Untersuchung", "Cet examen", "Este estudio";
    ChangeNew: "new opacity", "neue Verdichtung", "opacité nouvelle", "opacidad nueva";
    ChangePersisting: "persisting opacity", "fortbestehende Verdichtung", "opacité persistante", "opacidad persistente";
    ChangeResolved: "resolved opacity", "zurückgebildete Verdichtung", "opacité disparue", "opacidad resuelta";
    ChangeNote: "Thin rims of new or resolved opacity are the error of a voxel at a border.",
        "Dünne Säume neuer oder zurückgebildeter Verdichtung sind der Fehler eines Voxels an einer Grenze.",
        "De minces lisérés d’opacité nouvelle ou disparue traduisent l’erreur d’un voxel à la limite.",
        "Los ribetes finos de opacidad nueva o resuelta son el error de un vóxel en el borde.";
    CaptionChange: "Both studies at the same place: the earlier one was registered to this one. Each with the opacity that it has.",
        "Beide Untersuchungen an derselben Stelle: Die frühere wurde auf diese registriert. Jede mit der Verdichtung, die sie hat.",
        "Les deux examens au même endroit : l’examen antérieur a été recalé sur celui-ci. Chacun avec ses opacités.",
        "Los dos estudios en el mismo lugar: el anterior se registró sobre este. Cada uno con sus opacidades.";
    CaptionChangeAlone: "This study alone, as the earlier result holds no image; resolved opacity lies where it was.",
        "Nur diese Untersuchung, da das frühere Ergebnis kein Bild enthält; zurückgebildete Verdichtung liegt, wo sie war.",
        "Cet examen seul, le résultat antérieur ne contenant pas d’image ; l’opacité disparue est là où elle était.",
        "Solo este estudio, pues el resultado anterior no contiene imagen; la opacidad resuelta está donde estaba.";
    FollowUpRegions: "Opacity of lungs and lobes, then and now", "Verdichtung von Lunge und Lappen, damals und jetzt",
        "Opacités des poumons et des lobes, avant et maintenant", "Opacidad de pulmones y lóbulos, antes y ahora";
    FollowUpLesions: "What became of each opacity, largest first", "Was aus jeder Verdichtung wurde, größte zuerst",
        "Devenir de chaque opacité, par volume décroissant", "Qué ha sido de cada opacidad, de mayor a menor";
    FollowUpStudies: "All studies, newest first", "Alle Untersuchungen, neueste zuerst", "Tous les examens, du plus récent au plus ancien", "Todos los estudios, del más reciente al más antiguo";
    ColumnThenMl: "Then, ml", "Damals, ml", "Avant, ml", "Antes, ml";
    ColumnNowMl: "Now, ml", "Jetzt, ml", "Maintenant, ml", "Ahora, ml";
    ColumnChangeMl: "Change, ml", "Änderung, ml", "Variation, ml", "Cambio, ml";
    ColumnThenPercent: "Then, %", "Damals, %", "Avant, %", "Antes, %";
    ColumnNowPercent: "Now, %", "Jetzt, %", "Maintenant, %", "Ahora, %";
    ColumnChangePoints: "Change, points", "Änderung, Punkte", "Variation, points", "Cambio, puntos";
    ColumnThenHu: "Then, HU", "Damals, HE", "Avant, UH", "Antes, UH";
    ColumnNowHu: "Now, HU", "Jetzt, HE", "Maintenant, UH", "Ahora, UH";
    ColumnTrend: "Course", "Verlauf", "Évolution", "Evolución";
    TrendGrown: "more", "mehr", "en hausse", "más";
    TrendShrunk: "less", "weniger", "en baisse", "menos";
    TrendUnchanged: "no sure change", "keine sichere Änderung", "sans changement certain", "sin cambio seguro";
    FateNew: "new", "neu", "nouvelle", "nueva";
    FatePersisting: "persisting", "fortbestehend", "persistante", "persistente";
    FateResolved: "resolved", "zurückgebildet", "disparue", "resuelta";
    FateMerged: "merged", "verschmolzen", "fusionnée", "fusionada";
    FateSplit: "split", "geteilt", "divisée", "dividida";
    FateRegrouped: "regrouped", "umgruppiert", "regroupée", "reagrupada";
    FateNotComparable: "not in both scans", "nicht in beiden Scans", "pas dans les deux examens", "no en ambos estudios";
    TrendTitle: "Opacity over time", "Verdichtung im Zeitverlauf", "Opacités au cours du temps", "Opacidad a lo largo del tiempo";
    TrendVertical: "% of lung", "% der Lunge", "% du poumon", "% del pulmón";
    TrendAxis: "Days before this study", "Tage vor dieser Untersuchung", "Jours avant cet examen", "Días antes de este estudio";
    TrendAlt: "Opacity in percent of the lung over {count} studies, now {percent}.", "Verdichtung in Prozent der Lunge über {count} Untersuchungen, jetzt {percent}.",
        "Opacités en pourcentage du poumon sur {count} examens, maintenant {percent}.", "Opacidad en porcentaje del pulmón en {count} estudios, ahora {percent}.";

    // ---- Section headings.
    Impression: "Impression", "Beurteilung", "Conclusion", "Impresión";
    KeyPictures: "Key pictures", "Schlüsselbilder", "Images clés", "Imágenes clave";
    LobesHeading: "Lobes", "Lungenlappen", "Lobes", "Lóbulos";
    ChartsHeading: "Density and extent", "Dichte und Ausdehnung", "Densité et étendue", "Densidad y extensión";
    ComponentsHeading: "Opacities, largest first", "Verdichtungen, größte zuerst", "Opacités, par volume décroissant", "Opacidades, de mayor a menor";
    ScoresHeading: "Scores and what they mean", "Scores und ihre Bedeutung", "Scores et leur signification", "Puntuaciones y su significado";
    QualityHeading: "Quality", "Qualität", "Qualité", "Calidad";
    MethodHeading: "Method, models and limits", "Verfahren, Modelle und Grenzen", "Méthode, modèles et limites", "Método, modelos y límites";
    NotKnownHeading: "Not determined", "Nicht bestimmt", "Non déterminé", "No determinado";
    DefinitionsHeading: "Further definitions", "Weitere Definitionen", "Autres définitions", "Otras definiciones";

    // ---- Impression: extent and pattern. The attributes follow the colon and agree with the plural noun.
    NoOpacity: "No pulmonary opacity found. Lung volume {lung}.", "Keine pulmonale Verdichtung nachgewiesen. Lungenvolumen {lung}.",
        "Aucune opacité pulmonaire décelée. Volume pulmonaire : {lung}.", "No se observan opacidades pulmonares. Volumen pulmonar: {lung}.";
    TraceOpacity: "Only a trace of opacity ({ml}, {percent} of the lung), none of it large enough to be listed. Vessels, dependent density or motion can look like this; check by eye.",
        "Nur Spuren von Verdichtung ({ml}, {percent} der Lunge), keine groß genug für die Liste. Gefäße, lageabhängige Dichteanhebung oder Bewegung können so aussehen; bitte visuell prüfen.",
        "Seulement des traces d’opacité ({ml}, {percent} du poumon), aucune assez grande pour être listée. Des vaisseaux, une densité déclive ou un mouvement peuvent avoir cet aspect ; à vérifier visuellement.",
        "Solo trazas de opacidad ({ml}, {percent} del pulmón), ninguna lo bastante grande para figurar en la lista. Vasos, densidad declive o movimiento pueden tener este aspecto; comprobar visualmente.";
    Opacities: "Pulmonary opacities, {ml}, {percent} of the lung: {attributes}.", "Pulmonale Verdichtungen, {ml}, {percent} der Lunge: {attributes}.",
        "Opacités pulmonaires, {ml}, {percent} du poumon : {attributes}.", "Opacidades pulmonares, {ml}, {percent} del pulmón: {attributes}.";
    OpacitiesPlain: "Pulmonary opacities, {ml}, {percent} of the lung.", "Pulmonale Verdichtungen, {ml}, {percent} der Lunge.",
        "Opacités pulmonaires, {ml}, {percent} du poumon.", "Opacidades pulmonares, {ml}, {percent} del pulmón.";
    Bilateral: "bilateral", "beidseits", "bilatérales", "bilaterales";
    RightSided: "right-sided", "rechtsseitig", "à droite", "en el lado derecho";
    LeftSided: "left-sided", "linksseitig", "à gauche", "en el lado izquierdo";
    Multifocal: "multifocal", "multifokal", "multifocales", "multifocales";
    Focal: "focal", "fokal", "focales", "focales";
    GroundGlassOnly: "ground-glass", "Milchglas", "en verre dépoli", "en vidrio deslustrado";
    GroundGlassMostly: "predominantly ground-glass", "überwiegend Milchglas", "surtout en verre dépoli", "predominantemente en vidrio deslustrado";
    ConsolidationOnly: "consolidation", "Konsolidierung", "de type condensation", "de tipo consolidación";
    ConsolidationMostly: "predominantly consolidation", "überwiegend Konsolidierung", "surtout de type condensation", "predominantemente de tipo consolidación";
    MixedKinds: "ground-glass and consolidation in similar parts", "Milchglas und Konsolidierung zu ähnlichen Teilen",
        "verre dépoli et condensation en parts semblables", "vidrio deslustrado y consolidación en partes similares";
    Mainly: "mainly {places}", "überwiegend {places}", "surtout {places}", "sobre todo {places}";
    Peripheral: "peripheral", "peripher", "périphériques", "periféricas";
    Posterior: "posterior", "dorsal", "postérieures", "posteriores";
    LowerLobes: "in the lower lobes", "in den Unterlappen", "dans les lobes inférieurs", "en los lóbulos inferiores";
    LobesInvolved: "Lobes involved, in percent of the lobe: {lobes}.", "Betroffene Lappen, in Prozent des Lappens: {lobes}.",
        "Lobes atteints, en pourcentage du lobe : {lobes}.", "Lóbulos afectados, en porcentaje del lóbulo: {lobes}.";
    KindVolumes: "Ground-glass {ground_glass}, consolidation {consolidation}.", "Milchglas {ground_glass}, Konsolidierung {consolidation}.",
        "Verre dépoli {ground_glass}, condensation {consolidation}.", "Vidrio deslustrado {ground_glass}, consolidación {consolidation}.";
    KindsNotToldApart: "Ground-glass and consolidation were not told apart.", "Milchglas und Konsolidierung wurden nicht unterschieden.",
        "Verre dépoli et condensation n’ont pas été distingués.", "No se distinguió entre vidrio deslustrado y consolidación.";
    HighOpacity: "High opacity (−200 HU and above): {percent} of the lung.", "Hohe Verdichtung (ab −200 HE): {percent} der Lunge.",
        "Haute opacité (à partir de −200 UH) : {percent} du poumon.", "Alta opacidad (a partir de −200 UH): {percent} del pulmón.";
    SeverityScores: "CT severity score {ctss} of 25; severity class CT-{ct} of 4.", "CT Severity Score {ctss} von 25; Schweregrad CT-{ct} von 4.",
        "Score de sévérité TDM {ctss} sur 25 ; classe de sévérité CT-{ct} sur 4.", "Puntuación de gravedad TC {ctss} de 25; clase de gravedad CT-{ct} de 4.";
    CoRadsSuggestion: "CO-RADS {grade} suggested ({suspicion} suspicion of pulmonary COVID-19 from the picture alone).",
        "Vorschlag CO-RADS {grade} (Verdacht auf pulmonales COVID-19 allein aus dem Bild: {suspicion}).",
        "CO-RADS {grade} suggéré (suspicion de COVID-19 pulmonaire d’après l’image seule : {suspicion}).",
        "Se sugiere CO-RADS {grade} (sospecha de COVID-19 pulmonar solo por la imagen: {suspicion}).";
    SuspicionVeryLow: "very low", "sehr gering", "très faible", "muy baja";
    SuspicionLow: "low", "gering", "faible", "baja";
    SuspicionEquivocal: "equivocal", "unklar", "équivoque", "equívoca";
    SuspicionHigh: "high", "hoch", "élevée", "alta";
    SuspicionVeryHigh: "very high", "sehr hoch", "très élevée", "muy alta";
    Reasons: "Reasons for the suggestion", "Gründe für den Vorschlag", "Motifs de la suggestion", "Motivos de la sugerencia";
    NotADiagnosis: "A suggestion from distribution and density alone, no diagnosis; clinical findings and tests decide.",
        "Ein Vorschlag allein aus Verteilung und Dichte, keine Diagnose; Klinik und Tests entscheiden.",
        "Une suggestion fondée sur la seule distribution et la densité, non un diagnostic ; la clinique et les tests décident.",
        "Una sugerencia basada solo en distribución y densidad, no un diagnóstico; deciden la clínica y las pruebas.";
    CheckByEye: "To be checked by eye: {text}", "Visuell zu prüfen: {text}", "À vérifier visuellement : {text}", "Comprobar visualmente: {text}";
    NotReliable: "These results should not be relied on: {text}", "Auf diese Ergebnisse ist kein Verlass: {text}",
        "Ces résultats ne sont pas fiables : {text}", "Estos resultados no son fiables: {text}";
    FurtherWarnings: "Further reservations ({count}) are under Quality.", "Weitere Vorbehalte ({count}) stehen unter Qualität.",
        "D’autres réserves ({count}) figurent sous Qualité.", "Otras reservas ({count}) figuran en Calidad.";
    OutOfDistribution: "The study is unlike those the models were trained on; the results may be wrong.",
        "Die Untersuchung unterscheidet sich von den Trainingsdaten der Modelle; die Ergebnisse können falsch sein.",
        "L’examen diffère de ceux sur lesquels les modèles ont été entraînés ; les résultats peuvent être faux.",
        "El estudio difiere de aquellos con los que se entrenaron los modelos; los resultados pueden ser erróneos.";
    Refused: "The study was not analysed.", "Die Untersuchung wurde nicht ausgewertet.", "L’examen n’a pas été analysé.", "El estudio no se analizó.";
    RefusedNothing: "Nothing was measured, and nothing about the lungs can be concluded from this report.",
        "Es wurde nichts gemessen; aus diesem Bericht lässt sich nichts über die Lungen schließen.",
        "Rien n’a été mesuré ; ce compte rendu ne permet aucune conclusion sur les poumons.",
        "No se midió nada; de este informe no se puede concluir nada sobre los pulmones.";
    RefusedUnknown: "No reason was recorded.", "Es wurde kein Grund festgehalten.", "Aucun motif n’a été enregistré.", "No se registró ningún motivo.";

    // ---- Triage.
    Triage: "Triage", "Triage", "Triage", "Triaje";
    PriorityRoutine: "Routine", "Routine", "Routine", "Rutina";
    PrioritySoon: "Soon", "Zeitnah", "Rapide", "Pronto";
    PriorityUrgent: "Urgent", "Dringend", "Urgent", "Urgente";

    // ---- Key figures.
    FigureOpacity: "Opacity, of the lung", "Verdichtung, der Lunge", "Opacité, du poumon", "Opacidad, del pulmón";
    IntervalMl: "{percent}: {low} to {high}", "{percent}: {low} bis {high}", "{percent} : {low} à {high}", "{percent}: {low} a {high}";
    FigureVolume: "Opacity, volume", "Verdichtung, Volumen", "Opacité, volume", "Opacidad, volumen";
    FigureHigh: "High opacity, of the lung", "Hohe Verdichtung, der Lunge", "Haute opacité, du poumon", "Alta opacidad, del pulmón";
    FigureCtss: "CT severity score", "CT Severity Score", "Score de sévérité TDM", "Puntuación de gravedad TC";
    FigureSeverity: "Severity class", "Schweregrad", "Classe de sévérité", "Clase de gravedad";
    FigureCoRads: "CO-RADS, suggested", "CO-RADS, Vorschlag", "CO-RADS, suggéré", "CO-RADS, sugerido";
    OfMax: "of {max}", "von {max}", "sur {max}", "de {max}";

    // ---- Pictures.
    Axial: "Axial", "Axial", "Axial", "Axial";
    Coronal: "Coronal", "Koronar", "Coronal", "Coronal";
    Sagittal: "Sagittal", "Sagittal", "Sagittal", "Sagital";
    CoronalMip: "Coronal slab MIP", "Koronare Schicht-MIP", "MIP coronal épais", "MIP coronal grueso";
    VolumeRendering: "Volume rendering", "Volumendarstellung", "Rendu volumique", "Representación volumétrica";
    SliceOf: "slice {index} of 0–{last}", "Schicht {index} von 0–{last}", "coupe {index} de 0–{last}", "corte {index} de 0–{last}";
    Window: "W {width} L {centre}", "W {width} L {centre}", "W {width} L {centre}", "W {width} L {centre}";
    SlabThickness: "slab {mm} mm", "Schichtdicke {mm} mm", "épaisseur {mm} mm", "grosor {mm} mm";
    SeenFromFront: "seen from the front", "von vorn", "vue de face", "vista frontal";
    SeenFromBack: "seen from behind", "von hinten", "vue de dos", "vista posterior";
    CaptionHighestLoad: "{ml} of opacity in this slice.", "{ml} Verdichtung in dieser Schicht.", "{ml} d’opacité dans cette coupe.", "{ml} de opacidad en este corte.";
    CaptionNoOpacity: "No opacity in this slice.", "Keine Verdichtung in dieser Schicht.", "Aucune opacité dans cette coupe.", "Sin opacidad en este corte.";
    CaptionThroughLargest: "Through the largest opacity (no. 1, {lobe}).", "Durch die größte Verdichtung (Nr. 1, {lobe}).",
        "Par la plus grande opacité (n° 1, {lobe}).", "Por la mayor opacidad (n.º 1, {lobe}).";
    CaptionThroughLungs: "Through the middle of the lungs.", "Durch die Mitte der Lungen.", "Par le milieu des poumons.", "Por el centro de los pulmones.";
    Probability: "Probability of opacity", "Wahrscheinlichkeit einer Verdichtung", "Probabilité d’opacité", "Probabilidad de opacidad";
    CaptionProbability: "Where the network sees opacity, and how surely; density and size decide what of it is outlined.",
        "Wo das Netz Verdichtung sieht, und wie sicher; Dichte und Größe entscheiden, was davon umrandet wird.",
        "Où le réseau voit une opacité, et avec quelle certitude ; densité et taille décident de ce qui est délimité.",
        "Dónde ve opacidad la red, y con qué certeza; la densidad y el tamaño deciden qué se delimita.";
    CaptionMip: "Maximum intensity over {mm} mm: vessels and dense opacities.", "Maximalintensität über {mm} mm: Gefäße und dichte Verdichtungen.",
        "Intensité maximale sur {mm} mm : vaisseaux et opacités denses.", "Intensidad máxima en {mm} mm: vasos y opacidades densas.";
    CaptionRendering: "Lobes translucent, opacities solid.", "Lappen durchscheinend, Verdichtungen massiv.", "Lobes translucides, opacités pleines.", "Lóbulos translúcidos, opacidades sólidas.";
    CaptionRenderingNone: "Lobes translucent; no opacity.", "Lappen durchscheinend; keine Verdichtung.", "Lobes translucides ; aucune opacité.", "Lóbulos translúcidos; sin opacidad.";
    AltLetters: "{left} is on the left of the picture.", "{left} liegt links im Bild.", "{left} est à gauche de l’image.", "{left} está a la izquierda de la imagen.";
    PatientRight: "The patient’s right", "Rechts des Patienten", "La droite du patient", "La derecha del paciente";
    PatientLeft: "The patient’s left", "Links des Patienten", "La gauche du patient", "La izquierda del paciente";
    PatientFront: "The front", "Vorn", "L’avant", "La parte anterior";
    PatientBack: "The back", "Hinten", "L’arrière", "La parte posterior";
    PatientHead: "The head", "Oben", "La tête", "La cabeza";
    PatientFeet: "The feet", "Unten", "Les pieds", "Los pies";
    LegendGroundGlass: "ground-glass", "Milchglas", "verre dépoli", "vidrio deslustrado";
    LegendConsolidation: "consolidation", "Konsolidierung", "condensation", "consolidación";
    LegendUnknown: "opacity, kind unknown", "Verdichtung unbekannter Art", "opacité de type inconnu", "opacidad de tipo desconocido";
    LegendMixed: "mixed", "gemischt", "mixte", "mixta";
    LegendLobes: "lobes", "Lappen", "lobes", "lóbulos";
    LegendNote: "Outlines lie on the edge of what was measured. The patient’s right is on the left of axial and coronal pictures.",
        "Die Konturen liegen auf dem Rand des Gemessenen. Rechts des Patienten liegt in axialen und koronaren Bildern links.",
        "Les contours suivent le bord de ce qui a été mesuré. La droite du patient est à gauche des images axiales et coronales.",
        "Los contornos siguen el borde de lo medido. La derecha del paciente está a la izquierda en las imágenes axiales y coronales.";

    // ---- Lobes.
    RightUpperLobe: "right upper lobe", "rechter Oberlappen", "lobe supérieur droit", "lóbulo superior derecho";
    RightMiddleLobe: "right middle lobe", "Mittellappen", "lobe moyen", "lóbulo medio";
    RightLowerLobe: "right lower lobe", "rechter Unterlappen", "lobe inférieur droit", "lóbulo inferior derecho";
    LeftUpperLobe: "left upper lobe", "linker Oberlappen", "lobe supérieur gauche", "lóbulo superior izquierdo";
    LeftLowerLobe: "left lower lobe", "linker Unterlappen", "lobe inférieur gauche", "lóbulo inferior izquierdo";
    BothLungs: "both lungs", "beide Lungen", "deux poumons", "ambos pulmones";
    RightLung: "right lung", "rechte Lunge", "poumon droit", "pulmón derecho";
    LeftLung: "left lung", "linke Lunge", "poumon gauche", "pulmón izquierdo";
    LobesCaption: "Volume, density and opacity by lobe", "Volumen, Dichte und Verdichtung je Lappen", "Volume, densité et opacité par lobe", "Volumen, densidad y opacidad por lóbulo";
    ColumnLobe: "Lobe", "Lappen", "Lobe", "Lóbulo";
    ColumnVolume: "Volume ml", "Volumen ml", "Volume ml", "Volumen ml";
    ColumnMeanHu: "Mean HU", "Mittel HE", "UH moyennes", "UH medias";
    ColumnOpacityMl: "Opacity ml", "Verdichtung ml", "Opacité ml", "Opacidad ml";
    ColumnOpacityPercent: "Opacity %", "Verdichtung %", "Opacité %", "Opacidad %";
    ColumnHighPercent: "High opacity %", "Hohe Verd. %", "Haute opac. %", "Alta opac. %";
    ColumnCtss: "CTSS 0–5", "CTSS 0–5", "CTSS 0–5", "CTSS 0–5";
    ColumnCtssTotal: "CTSS 0–25", "CTSS 0–25", "CTSS 0–25", "CTSS 0–25";
    ColumnLss: "LSS 0–4", "LSS 0–4", "LSS 0–4", "LSS 0–4";
    ColumnLhos: "LHOS 0–4", "LHOS 0–4", "LHOS 0–4", "LHOS 0–4";
    AerationLine: "Aeration of the lung: hyperinflated {hyper}, normal {normal}, poor {poor}, none {none}; below −950 HU {laa}.",
        "Belüftung der Lunge: überbläht {hyper}, normal {normal}, vermindert {poor}, keine {none}; unter −950 HE {laa}.",
        "Aération du poumon : hyperinflation {hyper}, normale {normal}, réduite {poor}, nulle {none} ; sous −950 UH {laa}.",
        "Aireación del pulmón: hiperinsuflado {hyper}, normal {normal}, reducida {poor}, nula {none}; por debajo de −950 UH {laa}.";
    FissureLine: "Fissures, confidence 0 to 1: {fissures}.", "Fissuren, Sicherheit 0 bis 1: {fissures}.", "Scissures, confiance de 0 à 1 : {fissures}.", "Cisuras, confianza de 0 a 1: {fissures}.";
    FissureRightOblique: "right oblique", "rechts schräg", "grande scissure droite", "mayor derecha";
    FissureRightHorizontal: "right horizontal", "rechts horizontal", "petite scissure droite", "menor derecha";
    FissureLeftOblique: "left oblique", "links schräg", "grande scissure gauche", "mayor izquierda";

    // ---- Charts.
    HistogramTitle: "Density of lung and opacity", "Dichte von Lunge und Verdichtung", "Densité du poumon et des opacités", "Densidad del pulmón y de las opacidades";
    HistogramAxis: "HU", "HE", "UH", "UH";
    HistogramLung: "lung", "Lunge", "poumon", "pulmón";
    HistogramLesion: "opacity", "Verdichtung", "opacité", "opacidad";
    HistogramVertical: "share of each, % per {width} HU", "jeweiliger Anteil, % je {width} HE", "part de chacun, % par {width} UH", "parte de cada uno, % por {width} UH";
    HistogramAlt: "Histogram of lung density: most of the lung lies near {lung_peak} HU{lesion}.", "Dichtehistogramm der Lunge: der größte Teil liegt bei {lung_peak} HE{lesion}.",
        "Histogramme de densité pulmonaire : la plus grande part se situe vers {lung_peak} UH{lesion}.", "Histograma de densidad pulmonar: la mayor parte se sitúa cerca de {lung_peak} UH{lesion}.";
    HistogramAltLesion: ", most of the opacity near {lesion_peak} HU", ", der größte Teil der Verdichtung bei {lesion_peak} HE", ", la plus grande part des opacités vers {lesion_peak} UH", ", la mayor parte de la opacidad cerca de {lesion_peak} UH";
    ProfileTitle: "Lung and opacity by slice", "Lunge und Verdichtung je Schicht", "Poumon et opacités par coupe", "Pulmón y opacidad por corte";
    ProfileVertical: "ml in the slice", "ml in der Schicht", "ml dans la coupe", "ml en el corte";
    ProfileAxis: "slice, from the feet to the head", "Schicht, von den Füßen zum Kopf", "coupe, des pieds à la tête", "corte, de los pies a la cabeza";
    ProfileAlt: "Opacity by slice: {with} of {slices} slices hold opacity, the most in slice {index} ({ml}).", "Verdichtung je Schicht: {with} von {slices} Schichten enthalten Verdichtung, am meisten Schicht {index} ({ml}).",
        "Opacité par coupe : {with} coupes sur {slices} contiennent une opacité, le maximum dans la coupe {index} ({ml}).", "Opacidad por corte: {with} de {slices} cortes contienen opacidad, la mayor en el corte {index} ({ml}).";

    // ---- Components.
    ComponentsCaption: "Connected opacities", "Zusammenhängende Verdichtungen", "Opacités connexes", "Opacidades conexas";
    ColumnNumber: "No.", "Nr.", "N°", "N.º";
    ColumnLobes: "Lobe", "Lappen", "Lobe", "Lóbulo";
    ColumnKind: "Kind", "Art", "Type", "Tipo";
    ColumnSlices: "Slices", "Schichten", "Coupes", "Cortes";
    ColumnCentre: "Centre, LPS mm", "Zentrum, LPS mm", "Centre, LPS mm", "Centro, LPS mm";
    MoreComponents: "{count} more, {ml} in all, are in findings.json.", "{count} weitere, zusammen {ml}, stehen in findings.json.",
        "{count} autres, {ml} au total, figurent dans findings.json.", "Otras {count}, {ml} en total, figuran en findings.json.";
    SmallComponents: "{count} smaller than {below} each ({ml} together) are counted in the totals but not listed.", "{count} unter je {below} (zusammen {ml}) zählen in den Summen, sind aber nicht aufgeführt.",
        "{count} de moins de {below} chacune ({ml} ensemble) sont comptées dans les totaux mais non listées.", "{count} de menos de {below} cada una ({ml} en conjunto) cuentan en los totales pero no figuran en la lista.";

    // ---- Scores.
    ColumnScore: "Score", "Score", "Score", "Puntuación";
    ColumnValue: "Value", "Wert", "Valeur", "Valor";
    ColumnMeaning: "Definition", "Definition", "Définition", "Definición";
    ColumnSource: "Source", "Quelle", "Source", "Fuente";
    Assumption: "An assumption of ours.", "Eine eigene Annahme.", "Une hypothèse des auteurs.", "Una suposición propia.";
    ScoresCaption: "Scores", "Scores", "Scores", "Puntuaciones";
    ScorePo: "Percentage of opacity (PO)", "Prozent Verdichtung (PO)", "Pourcentage d’opacité (PO)", "Porcentaje de opacidad (PO)";
    ScorePho: "Percentage of high opacity (PHO)", "Prozent hoher Verdichtung (PHO)", "Pourcentage de haute opacité (PHO)", "Porcentaje de alta opacidad (PHO)";
    ScoreCtss: "CT severity score (CTSS)", "CT Severity Score (CTSS)", "Score de sévérité TDM (CTSS)", "Puntuación de gravedad TC (CTSS)";
    ScoreLss: "Lung severity score (LSS)", "Lung Severity Score (LSS)", "Lung severity score (LSS)", "Lung severity score (LSS)";
    ScoreLhos: "Lung high opacity score (LHOS)", "Lung High Opacity Score (LHOS)", "Lung high opacity score (LHOS)", "Lung high opacity score (LHOS)";
    ScoreSeverity: "Severity class CT-0 to CT-4", "Schweregrad CT-0 bis CT-4", "Classe de sévérité CT-0 à CT-4", "Clase de gravedad CT-0 a CT-4";
    ScoreCoRads: "CO-RADS, suggested", "CO-RADS, Vorschlag", "CO-RADS, suggéré", "CO-RADS, sugerido";
    ClassProbability: "Kind of pneumonia: {classes}. {calibration}", "Art der Pneumonie: {classes}. {calibration}", "Type de pneumonie : {classes}. {calibration}", "Tipo de neumonía: {classes}. {calibration}";
    ClassNormal: "none {p}", "keine {p}", "aucune {p}", "ninguna {p}";
    ClassCovid: "as in COVID-19 {p}", "wie bei COVID-19 {p}", "de type COVID-19 {p}", "como en la COVID-19 {p}";
    ClassOther: "other {p}", "andere {p}", "autre {p}", "otra {p}";
    Calibrated: "Calibrated on held-out patients.", "An zurückgehaltenen Patienten kalibriert.", "Calibré sur des patients tenus à part.", "Calibrado con pacientes reservados.";
    NotCalibrated: "Not calibrated.", "Nicht kalibriert.", "Non calibré.", "No calibrado.";

    // ---- Quality.
    NoQualityNotes: "No flaw was noted.", "Keine Mängel festgestellt.", "Aucun défaut relevé.", "No se observaron defectos.";
    SeverityInfo: "Note", "Hinweis", "Note", "Nota";
    SeverityWarning: "Warning", "Warnung", "Avertissement", "Advertencia";
    SeveritySevere: "Severe", "Schwerwiegend", "Grave", "Grave";

    // ---- Method.
    Software: "Software", "Software", "Logiciel", "Software";
    SoftwareVersion: "{name} {version}", "{name} {version}", "{name} {version}", "{name} {version}";
    Revision: "revision {commit}", "Revision {commit}", "révision {commit}", "revisión {commit}";
    ModelsCaption: "Models", "Modelle", "Modèles", "Modelos";
    ColumnModel: "Model", "Modell", "Modèle", "Modelo";
    ColumnVersion: "Version", "Version", "Version", "Versión";
    ColumnPurpose: "Used for", "Verwendet für", "Usage", "Uso";
    ColumnHash: "SHA-256", "SHA-256", "SHA-256", "SHA-256";
    ColumnCard: "Card", "Karte", "Fiche", "Ficha";
    NoModels: "No model was run.", "Es lief kein Modell.", "Aucun modèle n’a été exécuté.", "No se ejecutó ningún modelo.";
    LimitsTitle: "Limits", "Grenzen", "Limites", "Límites";
    LimitScope: "Only opacities within the lungs are measured. Effusion, nodules, masses, emboli, lymph nodes, heart and bones are not assessed.",
        "Gemessen werden nur Verdichtungen innerhalb der Lungen. Erguss, Rundherde, Raumforderungen, Embolien, Lymphknoten, Herz und Knochen werden nicht beurteilt.",
        "Seules les opacités à l’intérieur des poumons sont mesurées. Épanchement, nodules, masses, embolies, ganglions, cœur et os ne sont pas évalués.",
        "Solo se miden opacidades dentro de los pulmones. No se valoran derrame, nódulos, masas, embolias, ganglios, corazón ni huesos.";
    LimitErrors: "Small or faint opacities can be missed; vessels, dependent density and breathing motion can be marked by mistake.",
        "Kleine oder zarte Verdichtungen können übersehen, Gefäße, lageabhängige Dichteanhebung und Atembewegung fälschlich markiert werden.",
        "De petites opacités ou des opacités ténues peuvent être manquées ; des vaisseaux, une densité déclive ou le mouvement respiratoire peuvent être marqués à tort.",
        "Pueden pasarse por alto opacidades pequeñas o tenues; vasos, densidad declive y movimiento respiratorio pueden marcarse por error.";
    LimitCause: "An opacity has many causes: infection, oedema, haemorrhage, aspiration, drug reaction, tumour. The report does not tell them apart.",
        "Eine Verdichtung hat viele Ursachen: Infektion, Ödem, Blutung, Aspiration, Arzneimittelreaktion, Tumor. Der Bericht unterscheidet sie nicht.",
        "Une opacité a de nombreuses causes : infection, œdème, hémorragie, inhalation, réaction médicamenteuse, tumeur. Le compte rendu ne les distingue pas.",
        "Una opacidad tiene muchas causas: infección, edema, hemorragia, aspiración, reacción a fármacos, tumor. El informe no las distingue.";
    TimingsTitle: "Time", "Zeit", "Durée", "Tiempo";
    TimingLoad: "load", "Laden", "lecture", "carga";
    TimingLungs: "lungs", "Lungen", "poumons", "pulmones";
    TimingLobes: "lobes", "Lappen", "lobes", "lóbulos";
    TimingLesions: "opacities", "Verdichtungen", "opacités", "opacidades";
    TimingClassify: "classification", "Klassifikation", "classification", "clasificación";
    TimingMeasure: "measurement", "Messung", "mesure", "medición";
    TimingReport: "report", "Bericht", "compte rendu", "informe";
    TimingTotal: "total", "gesamt", "total", "total";
    PeakMemory: "peak memory {mb} MB", "Speicherspitze {mb} MB", "mémoire maximale {mb} Mo", "memoria máxima {mb} MB";
}

#[cfg(test)]
mod tests {
    use super::Phrase;
    use crate::Language;

    fn placeholders(text: &str) -> Vec<&str> {
        let mut names: Vec<&str> =
            text.split('{').skip(1).map(|rest| rest.split_once('}').expect("every brace is closed").0).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_language_fills_in_the_same_things() {
        for phrase in Phrase::ALL {
            let expected = placeholders(phrase.text(Language::English));
            for language in Language::ALL {
                assert_eq!(placeholders(phrase.text(language)), expected, "{phrase:?} in {language:?}");
                assert!(!phrase.text(language).trim().is_empty(), "{phrase:?} in {language:?}");
            }
        }
    }

    #[test]
    fn filling_in_leaves_no_brace() {
        assert_eq!(Phrase::PageOf.fill(Language::French, &[("page", "1"), ("pages", "3")]), "Page 1 sur 3");
    }

    #[test]
    fn the_fonts_of_pictures_and_pdf_have_every_letter() {
        for phrase in Phrase::ALL {
            for language in Language::ALL {
                for letter in phrase.text(language).chars() {
                    assert!(crate::font::has_glyph(letter), "{letter:?} of {phrase:?} in {language:?}");
                }
            }
        }
    }
}
